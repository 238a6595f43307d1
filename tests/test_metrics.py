from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.errors import SettingError
from glyphseek.metrics import Metrics, serve_metrics

_COUNTER = """
import sys, time
from glyphseek.metrics import Metrics, serve_metrics
metrics = Metrics()
metrics.requests.labels(sys.argv[1], "Rerank", "OK").inc(int(sys.argv[2]))
metrics.requests_in_flight.labels(sys.argv[1]).inc(2)
metrics.note_model(sys.argv[1], name="m", method="tdsl", fingerprint="f")
serve_metrics(metrics, port=int(sys.argv[3]), retry_s=0.1)
print("ready", flush=True)
sys.stdin.read()
"""


def read(text: str) -> dict[tuple[str, str], float]:
    """Return the samples of an exposition by name and by service or stage."""
    return {
        (sample.name, sample.labels.get("service") or sample.labels.get("stage", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def test_every_metric_has_a_sentence_and_a_unit_or_is_a_count() -> None:
    families = list(text_string_to_metric_families(Metrics().expose().decode()))
    assert len(families) > 15
    for one in families:
        assert one.name.startswith("glyphseek_")
        assert one.documentation.endswith(".")
        if one.type == "histogram":
            assert one.name.rpartition("_")[2] in ("seconds", "items", "ratio")


def test_times_of_blocks_are_counted_also_when_they_fail() -> None:
    metrics = Metrics()
    with metrics.measure(metrics.stage_seconds, "recall"):
        pass
    with pytest.raises(ValueError, match="odd"), metrics.measure(metrics.stage_seconds, "recall"):
        raise ValueError("odd")
    assert read(metrics.expose().decode())["glyphseek_stage_seconds_count", "recall"] == 2


def test_a_process_of_its_own_answers_on_its_port_until_it_is_stopped() -> None:
    metrics, port = Metrics(), free_port()
    metrics.fetched_bytes.labels("reranker").inc(12)
    stop = serve_metrics(metrics, port=port)
    assert read(scrape_when_open(port))["glyphseek_fetched_bytes_total", "reranker"] == 12
    stop()
    with pytest.raises(OSError, match="refused"):
        scrape(port)


def scrape_when_open(port: int) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            return scrape(port)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def test_one_port_answers_for_all_processes_of_a_node_and_is_taken_over_when_its_holder_is_killed(
    tmp_path: Path,
) -> None:
    port = free_port()
    first, second = (start_counter(tmp_path, service, count, port) for service, count in (("a", 3), ("b", 5)))
    try:
        found = read(scrape_when_open(port))
        assert found["glyphseek_requests_total", "a"] == 3
        assert found["glyphseek_requests_total", "b"] == 5
        assert found["glyphseek_model_info", "b"] == 1
        first.kill()
        first.wait()
        found = read(scrape_when_open(port))
        assert found["glyphseek_requests_total", "a"] == 3
        assert found["glyphseek_requests_total", "b"] == 5
    finally:
        for one in (first, second):
            one.kill()
            one.communicate()


def test_what_a_killed_process_held_is_gone_and_what_it_counted_is_not(tmp_path: Path) -> None:
    port = free_port()
    first = start_counter(tmp_path, "a", 3, port)
    second = start_counter(tmp_path, "b", 5, port)
    try:
        before = read(scrape_when_open(port))
        for name in ("glyphseek_requests_in_flight", "glyphseek_model_info"):
            assert before[name, "a"] == before[name, "b"] > 0
        second.kill()
        second.wait()
        after = read(scrape(port))
        for name in ("glyphseek_requests_in_flight", "glyphseek_model_info"):
            assert after[name, "a"] == before[name, "a"]
            assert (name, "b") not in after
        assert after["glyphseek_requests_total", "b"] == 5
    finally:
        for one in (first, second):
            one.kill()
            one.communicate()


def test_an_address_that_is_not_of_this_machine_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match=r"metrics cannot be had at 203\.0\.113\.1:\d+"):
        serve_metrics(Metrics(), port=free_port(), host="203.0.113.1")


def test_all_addresses_of_the_machine_may_be_answered_at() -> None:
    port = free_port()
    stop = serve_metrics(Metrics(), port=port, host="0.0.0.0")
    assert "glyphseek_requests" in scrape(port)
    stop()


def start_counter(folder: Path, service: str, count: int, port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _COUNTER, service, str(count), str(port)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
