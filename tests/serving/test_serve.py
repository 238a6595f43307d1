"""`glyphseek serve` as a user starts it, over a real Milvus and a real S3 server."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from integration.servers import find_free_ports, shared_minio
from PIL import Image, ImageDraw, ImageFont

from glyphseek.errors import ServiceError
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health

pytestmark = pytest.mark.deployment

COMMAND = (sys.executable, "-c", "from glyphseek.cli import main; main()", "serve")
WORDS = ("COFFEE", "BAKERY", "MUSEUM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What was started: the process, its environment, the gateway, and a name that all its processes carry."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    http: httpx.Client
    mark: str

    def processes(self, text: str = "") -> dict[int, str]:
        """Return the processes of this deployment whose command has the text, however they were started."""
        found: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command and self.mark.encode() in (folder / "environ").read_bytes() and text in command:
                    found[int(folder.name)] = command
        return found

    def search(self, word: str) -> dict[str, Any]:
        answer = self.http.get("/v1/collections/signs/search", params={"q": word}, headers={"X-Deadline-Ms": "20000"})
        assert answer.status_code == 200, answer.text
        return answer.json()


def _make_environment(**other: str) -> tuple[dict[str, str], str]:
    mark = f"serve{uuid4().hex[:10]}"
    s3 = make_s3_settings(found(shared_minio), bucket=mark)
    milvus = milvus_uri()
    ports = find_free_ports(6)  # after the servers have theirs
    values = {
        "MILVUS_URI": milvus,
        "MILVUS_INDEX": "FLAT",
        "MILVUS_TIMEOUT_S": "30",
        "TENANT": mark,
        "S3_ENDPOINT": s3.endpoint,
        "S3_BUCKET": mark,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
        "MODELS": "tdsl-small",
        "HTTP_PORT": str(ports),
        "GRPC_PORT": str(ports + 1),
        "METRICS_PORT": str(ports + 2),
        **{name: f"127.0.0.1:{ports + 3 + place}" for place, name in enumerate(("ENCODER", "RERANKER", "MATCHER"))},
        "MATCH_S": "10",
        "ENCODE_S": "20",
        **other,
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return environment | {f"GLYPHSEEK_{name}": value for name, value in values.items()}, mark


@contextmanager
def _started(folder: Path, *options: str) -> Generator[Running]:
    """Start, wait until it says that it is ready, and end it however the block ends."""
    environment, mark = _make_environment()
    arguments = (*COMMAND, "--make-bucket", "--logs", str(folder), *options)
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    address = f"http://127.0.0.1:{environment['GLYPHSEEK_HTTP_PORT']}"
    with httpx.Client(base_url=address, timeout=60) as http:
        running = Running(process=process, environment=environment, http=http, mark=mark)
        try:
            said = _read_until(process, "ready;")
            assert address in said
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            for pid in running.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if line.startswith(word):
            return said
    raise AssertionError(f"it ended: {said}")


def _draw(word: str) -> bytes:
    image = Image.new("RGB", (320, 120), "white")
    ImageDraw.Draw(image).text((20, 20), word, fill="black", font=ImageFont.load_default(64))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()


def _add_signs(running: Running) -> None:
    made = running.http.post("/v1/collections", json={"name": "signs"})
    assert made.status_code == 201, made.text
    files = [("files", (f"{word}.png", _draw(word), "image/png")) for word in WORDS]
    added = running.http.post("/v1/collections/signs/images", files=files)
    assert added.status_code in (200, 201, 207), added.text
    assert [one["outcome"] for one in added.json()["images"]] == ["added"] * len(WORDS)


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.2)


def _kill(running: Running, text: str) -> list[int]:
    pids = list(running.processes(text))
    assert pids, running.processes()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def _end_cleanly(running: Running, how: signal.Signals) -> None:
    running.process.send_signal(how)
    assert running.process.wait(90) == 0
    _wait(lambda: not running.processes(), 20)
    for name in ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT"):
        socket.create_server(("127.0.0.1", int(running.environment[f"GLYPHSEEK_{name}"]))).close()


def _is_serving(address: str) -> bool:
    with Client(Endpoint.parse(address), service="test") as client:
        try:
            check_health(client, timeout_s=10.0)
        except ServiceError:
            return False
    return True


@pytest.mark.timeout(280)
def test_plain_processes_serve_survive_a_kill_and_leave_nothing_behind(tmp_path: Path) -> None:
    with _started(tmp_path, "--plain") as running:
        _add_signs(running)
        for word in WORDS:
            answer = running.search(word)
            assert answer["hits"][0]["image"]["names"] == [f"{word}.png"]
            assert answer["degraded"] == []
        before = _kill(running, "-m glyphseek_matcher")
        assert [hit["image"]["names"] for hit in running.search("coffee")["hits"]][:1] == [["COFFEE.png"]]
        _wait(lambda: not running.search("coffee")["degraded"])
        assert set(running.processes("-m glyphseek_matcher")).isdisjoint(before)
        port = running.environment["GLYPHSEEK_METRICS_PORT"]
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        for service in ("encoder", "matcher"):
            assert "glyphseek_request_seconds_count" in metrics
            assert f'service="{service}"' in metrics
        _end_cleanly(running, signal.SIGINT)


@pytest.mark.timeout(280)
def test_ray_applications_serve_survive_a_killed_replica_and_leave_nothing_behind(tmp_path: Path) -> None:
    with _started(tmp_path, "--cpus", "3") as running:
        _add_signs(running)
        answer = running.search("museum")
        assert answer["hits"][0]["image"]["names"] == ["MUSEUM.png"]
        assert answer["degraded"] == []
        proxy = f"127.0.0.1:{running.environment['GLYPHSEEK_GRPC_PORT']}"
        for application in ("encoder", "reranker", "matcher", "gateway"):
            assert _is_serving(f"{proxy}/{application}")
        port = running.environment["GLYPHSEEK_METRICS_PORT"]
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        for service in ("gateway", "encoder", "matcher"):
            assert f'glyphseek_requests_in_flight{{service="{service}"}}' in metrics
        before = _kill(running, "ray::ServeReplica:matcher")
        assert [hit["image"]["names"] for hit in running.search("coffee")["hits"]][:1] == [["COFFEE.png"]]
        _wait(lambda: _is_serving(f"{proxy}/matcher") and not running.search("coffee")["degraded"])
        assert set(running.processes("ray::ServeReplica:matcher")).isdisjoint(before)
        _end_cleanly(running, signal.SIGTERM)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MILVUS_URI", "http://127.0.0.1:9", "127.0.0.1:9"),
        ("S3_ENDPOINT", "http://127.0.0.1:9", "127.0.0.1:9"),
        ("MODELS", "", "models is empty"),
    ],
)
def test_what_cannot_be_reached_or_is_wrong_is_named_before_anything_starts(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    environment, mark = _make_environment(**{name: value, "MILVUS_TIMEOUT_S": "2"})
    ended = subprocess.run((*COMMAND, "--plain"), env=environment, capture_output=True, text=True, timeout=50)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert mark not in ended.stdout


@pytest.mark.timeout(60)
def test_a_port_that_is_taken_is_named() -> None:
    environment, _ = _make_environment()
    port = int(environment["GLYPHSEEK_MATCHER"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run((*COMMAND, "--plain"), env=environment, capture_output=True, text=True, timeout=50)
    assert ended.returncode == 2
    assert f"port {port} (matcher) cannot be had" in ended.stderr
