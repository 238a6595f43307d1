"""What a load test reads in answers, right and broken ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from load_calls import read_grpc_error, read_http_answer

from glyphseek.errors import Overloaded
from glyphseek.rpc.wire_errors import DETAILS_KEY, encode_error

STAGES = ("encode_ms", "recall_ms", "fetch_ms", "rerank_ms", "match_ms")
BODY: dict[str, Any] = {
    "hits": [{"image": {"image_id": "a"}}, {"image": {"image_id": "b"}}],
    "timings": dict.fromkeys(STAGES, 1.0),
    "degraded": [{"stage": "match"}],
}


class Failed:
    """A finished call."""

    def __init__(self, code: StatusCode, *trailers: tuple[str, str | bytes]) -> None:
        self._code = code
        self._trailers = trailers

    def code(self) -> StatusCode:
        return self._code

    def details(self) -> str | None:
        return None

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        return self._trailers


def refused_with(*details: ErrorInfo | RetryInfo) -> Failed:
    status = Status(code=8)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return Failed(StatusCode.RESOURCE_EXHAUSTED, (DETAILS_KEY, status.SerializeToString()))


def test_an_answer_over_http_is_read() -> None:
    outcome = read_http_answer(200, "", BODY)

    assert outcome.error == ""
    assert (outcome.image_ids, outcome.degraded) == (("a", "b"), ("match",))
    assert outcome.stages_ms == dict.fromkeys(STAGES, 1.0)


@pytest.mark.parametrize("part", ["hits", "timings", "degraded"])
def test_an_answer_of_another_form_is_an_error(part: str) -> None:
    assert read_http_answer(200, "", {name: value for name, value in BODY.items() if name != part}).error
    assert read_http_answer(200, "", {**BODY, part: None}).error
    assert read_http_answer(500, "", {}).error == "500 "


@pytest.mark.parametrize(("retry_after", "tells"), [("1", True), ("", False), ("soon", False)])
def test_a_refusal_over_http_tells_when_to_retry_by_a_number_of_seconds(retry_after: str, tells: bool) -> None:
    outcome = read_http_answer(429, retry_after, {})

    assert (outcome.is_refused, outcome.tells_when_to_retry) == (True, tells)


def test_a_refusal_over_grpc_tells_when_to_retry_by_a_retry_info() -> None:
    ours = encode_error(Overloaded("too much", retry_after_s=0.5)).SerializeToString()
    outcome = read_grpc_error(Failed(StatusCode.RESOURCE_EXHAUSTED, (DETAILS_KEY, ours)))

    assert (outcome.is_refused, outcome.tells_when_to_retry) == (True, True)


@pytest.mark.parametrize(
    "failed",
    [
        refused_with(ErrorInfo(reason="OVERLOADED")),
        refused_with(RetryInfo()),
        refused_with(),
        Failed(StatusCode.RESOURCE_EXHAUSTED),
        Failed(StatusCode.RESOURCE_EXHAUSTED, (DETAILS_KEY, b"\xff\xff")),
        Failed(StatusCode.RESOURCE_EXHAUSTED, ("retry-after", "1")),
    ],
)
def test_any_other_details_do_not(failed: Failed) -> None:
    outcome = read_grpc_error(failed)

    assert (outcome.is_refused, outcome.tells_when_to_retry) == (True, False)


def test_another_status_is_an_error_and_no_refusal() -> None:
    outcome = read_grpc_error(Failed(StatusCode.UNAVAILABLE))

    assert (outcome.error, outcome.is_refused) == ("UNAVAILABLE", False)
