"""The load test as it is started, against gateways that answer and others that do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.gateways import Served, make_gateway, make_photo, served
from integration.servers import find_free_ports

LOCUSTFILE = Path(__file__).parents[2] / "load_tests" / "locustfile.py"
SECONDS = 4
PHOTOS = {f"p{number}": make_photo(number) for number in range(12)}


@pytest.fixture
def gateway() -> Iterator[Served]:
    """A gateway with photos."""
    with served(make_gateway()) as running:
        assert running.http.post("/v1/collections", json={"name": "photos"}).is_success
        running.add("photos", PHOTOS)
        yield running


@pytest.fixture
def emptied() -> Iterator[Served]:
    """A gateway that has lost its photos."""
    with served(make_gateway()) as running:
        assert running.http.post("/v1/collections", json={"name": "photos"}).is_success
        yield running


def run_load(tmp_path: Path, *, http: int, grpc: int) -> tuple[int, str, Path]:
    """Return the exit code, what was printed, and where the report would be."""
    queries, report = tmp_path / "gallery.json", tmp_path / "report.json"
    queries.write_text(json.dumps({"queries": {f"w{number}": [f"p{number}"] for number in range(4)}}))
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "-u", "1", "-t", f"{SECONDS}s"]
    command += ["--host", f"http://127.0.0.1:{http}", "--grpc", f"127.0.0.1:{grpc}", "--collection", "photos"]
    command += ["--gallery", str(queries), "--rate", "10", "--metrics", "http://127.0.0.1:1/", "--report", str(report)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr, report


def test_a_gateway_that_answers_misses_nothing_but_time(gateway: Served, tmp_path: Path) -> None:
    doors = gateway.doors
    code, said, file = run_load(tmp_path, http=doors.http_port, grpc=doors.grpc_port)
    report, missed = json.loads(file.read_bytes()), [line for line in said.splitlines() if line.startswith("MISSED")]

    assert {kind: report[kind] for kind in ("wrong", "failed", "refused", "degraded", "unaccounted")} == {
        "wrong": 0,
        "failed": 0,
        "refused": 0,
        "degraded": 0,
        "unaccounted": 0,
    }
    assert report["answered"] > 0
    assert sorted(report["requests_ms"]) == ["grpc", "http"]
    assert code == (1 if missed else 0), said
    assert all("p99_ms" in line or "answered_share" in line for line in missed)  # a busy machine is no fault


def test_answers_without_hits_end_it_with_1(gateway: Served, emptied: Served, tmp_path: Path) -> None:
    code, said, file = run_load(tmp_path, http=gateway.doors.http_port, grpc=emptied.doors.grpc_port)

    assert json.loads(file.read_bytes())["wrong"] > 0, said
    assert code == 1


def test_a_door_that_is_shut_ends_it_with_1(gateway: Served, tmp_path: Path) -> None:
    code, said, file = run_load(tmp_path, http=gateway.doors.http_port, grpc=find_free_ports())

    assert json.loads(file.read_bytes())["failed"] > 0, said
    assert code == 1


def test_a_gateway_that_is_not_there_or_has_no_photos_ends_it_with_1_at_once(emptied: Served, tmp_path: Path) -> None:
    nobody = find_free_ports()
    for http in (nobody, emptied.doors.http_port):
        code, said, file = run_load(tmp_path, http=http, grpc=nobody)

        assert "is not answered before there is any load" in said
        assert (code, file.exists()) == (1, False), said
