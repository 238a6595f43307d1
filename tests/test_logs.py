from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from glyphseek.logs import mask, request_id_bound, set_up_logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logs("gateway", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_json_with_the_event_and_the_request_it_belongs_to(lines: io.StringIO) -> None:
    log = logging.getLogger("glyphseek.somewhere")
    with request_id_bound("r-1"):
        log.info("answered code=%s ms=%.1f", "OK", 12.34)
    log.warning("alone")
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert first["message"] == "answered code=OK ms=12.3"
    assert (first["level"], first["service"], first["request_id"]) == ("INFO", "gateway", "r-1")
    assert first["time"].endswith("Z")
    assert "request_id" not in second


def test_errors_are_on_the_same_line_as_their_event(lines: io.StringIO) -> None:
    try:
        raise ValueError("secret_key=abc")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines.getvalue().splitlines()
    assert "ValueError" in json.loads(line)["error"]
    assert "abc" not in line


def test_long_messages_are_cut(lines: io.StringIO) -> None:
    logging.getLogger("x").info("%s", "a" * 100_000)
    assert len(lines.getvalue()) < 3000


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def",
        "x-api-key=abc",
        "{'secret_key': 'abc'}",
        "token=abc, next=1",
        "password: abc",
        "http://h/?api_key=abc&x=1",
    ],
)
def test_values_of_secrets_are_masked(text: str) -> None:
    assert "abc" not in mask(text)
    assert "***" in mask(text)


def test_other_text_is_left_as_it_is() -> None:
    text = "blob_too_large name=m/ab/abc bytes=12 tokens=400"
    assert mask(text) == text
