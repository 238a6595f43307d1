"""`glyphseek serve --plain` as a user starts it, over a real Milvus and a real S3 server."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw, ImageFont
from serving.running import COMMAND, make_environment, started, wait_until

pytestmark = pytest.mark.deployment

WORDS = ("COFFEE", "BAKERY", "MUSEUM")


def _draw(word: str) -> bytes:
    image = Image.new("RGB", (320, 120), "white")
    ImageDraw.Draw(image).text((20, 20), word, fill="black", font=ImageFont.load_default(64))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()


def _add_signs(http: httpx.Client) -> None:
    made = http.post("/v1/collections", json={"name": "signs"})
    assert made.status_code == 201, made.text
    files = [("files", (f"{word}.png", _draw(word), "image/png")) for word in WORDS]
    added = http.post("/v1/collections/signs/images", files=files)
    assert added.status_code in (200, 201, 207), added.text
    assert [one["outcome"] for one in added.json()["images"]] == ["added"] * len(WORDS)


def _search(http: httpx.Client, word: str) -> dict[str, Any]:
    answer = http.get("/v1/collections/signs/search", params={"q": word}, headers={"X-Deadline-Ms": "20000"})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.timeout(280)
def test_plain_processes_serve_survive_a_kill_and_leave_nothing_behind(tmp_path: Path) -> None:
    with started(tmp_path, "--plain") as running, httpx.Client(base_url=running.url, timeout=60) as http:
        _add_signs(http)
        for word in WORDS:
            answer = _search(http, word)
            assert answer["hits"][0]["image"]["names"] == [f"{word}.png"]
            assert answer["degraded"] == []
        before = running.kill("-m glyphseek_matcher")
        assert [hit["image"]["names"] for hit in _search(http, "coffee")["hits"]][:1] == [["COFFEE.png"]]
        wait_until(lambda: not _search(http, "coffee")["degraded"])
        assert set(running.processes("-m glyphseek_matcher")).isdisjoint(before)
        metrics = httpx.get(f"http://127.0.0.1:{running.port('METRICS_PORT')}/metrics").text
        for service in ("encoder", "matcher"):
            assert "glyphseek_request_seconds_count" in metrics
            assert f'service="{service}"' in metrics
        running.end_cleanly(signal.SIGINT)


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
    environment, mark = make_environment(**{name: value, "MILVUS_TIMEOUT_S": "2"})
    ended = subprocess.run((*COMMAND, "--plain"), env=environment, capture_output=True, text=True, timeout=50)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert mark not in ended.stdout


@pytest.mark.timeout(60)
def test_a_port_that_is_taken_is_named() -> None:
    environment, _ = make_environment()
    port = int(environment["GLYPHSEEK_MATCHER"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run((*COMMAND, "--plain"), env=environment, capture_output=True, text=True, timeout=50)
    assert ended.returncode == 2
    assert f"port {port} (matcher) cannot be had" in ended.stderr
