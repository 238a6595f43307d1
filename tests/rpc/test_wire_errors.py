from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from glyphseek.errors import (
    DeadlineExceeded,
    GlyphseekError,
    InputError,
    Overloaded,
    PermissionDenied,
    QueryError,
    ServiceUnavailable,
    Unauthenticated,
)
from glyphseek.rpc.status import TABLE, ErrorStatus
from glyphseek.rpc.wire_errors import DETAILS_KEY, decode_error, encode_error, encode_internal, is_ours, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A finished call, as grpc describes one."""

    status: StatusCode
    message: str | None = ""
    trailers: tuple[tuple[str, str | bytes], ...] | None = field(default=())

    def code(self) -> StatusCode:
        return self.status

    def details(self) -> str | None:
        return self.message

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        return self.trailers


def _send(status: Status) -> Failed:
    code = next(one for one in StatusCode if one.value[0] == status.code)
    return Failed(status=code, message=status.message, trailers=(("x", "y"), (DETAILS_KEY, status.SerializeToString())))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.reason)
def test_every_error_comes_back_as_the_same_class_with_its_message(row: ErrorStatus) -> None:
    told = encode_error(row.error("what was wrong: größer als 7"))
    assert told.code == row.code.value[0]
    found = decode_error(_send(told), "peer")
    assert type(found) is row.error
    assert str(found) == "what was wrong: größer als 7"


def test_the_time_to_wait_travels_with_an_overload() -> None:
    found = decode_error(_send(encode_error(Overloaded("too much", retry_after_s=2.25))), "peer")
    assert isinstance(found, Overloaded)
    assert found.retry_after_s == 2.25


def test_details_name_the_class_and_what_the_caller_can_mend() -> None:
    info, request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    details = encode_error(QueryError("no closing quote")).details
    assert [one.Unpack(info) or one.Unpack(request) for one in details] == [True, True]
    assert (info.reason, info.domain) == ("QueryError", "glyphseek")
    assert request.field_violations[0].description == "no closing quote"
    assert encode_error(Overloaded("too much")).details[1].Unpack(retry)


def test_an_error_nobody_raised_on_purpose_becomes_unavailable_with_the_request_id_alone() -> None:
    told = encode_internal("abc123")
    assert told.message == "internal error, request id abc123"
    found = decode_error(_send(told), "peer")
    assert type(found) is ServiceUnavailable
    assert str(found) == told.message


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (StatusCode.UNAVAILABLE, ServiceUnavailable),
        (StatusCode.NOT_FOUND, ServiceUnavailable),  # Ray Serve: no such application
        (StatusCode.UNIMPLEMENTED, ServiceUnavailable),
        (StatusCode.INTERNAL, ServiceUnavailable),
        (StatusCode.UNKNOWN, ServiceUnavailable),
        (StatusCode.CANCELLED, ServiceUnavailable),
        (StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (StatusCode.UNAUTHENTICATED, Unauthenticated),
        (StatusCode.PERMISSION_DENIED, PermissionDenied),
        (StatusCode.INVALID_ARGUMENT, InputError),
    ],
)
def test_a_status_without_our_details_names_who_was_called(code: StatusCode, expected: type[GlyphseekError]) -> None:
    found = decode_error(Failed(status=code, message="whatever", trailers=None), "reranker 127.0.0.1:50062")
    assert type(found) is expected
    assert "reranker 127.0.0.1:50062" in str(found)


def test_a_traceback_of_a_proxy_goes_no_further() -> None:
    failed = Failed(status=StatusCode.INTERNAL, message="Traceback (most recent call last): pid=17, ip=10.0.0.3")
    assert str(decode_error(failed, "matcher 127.0.0.1:1")) == "matcher 127.0.0.1:1 failed"


def test_a_message_past_the_bound_is_the_callers_to_mend() -> None:
    failed = Failed(status=StatusCode.RESOURCE_EXHAUSTED, message="Received message larger than max (9 vs. 4)")
    assert type(decode_error(failed, "peer")) is InputError


def test_a_reason_of_a_later_version_is_no_crash() -> None:
    status = encode_error(QueryError("a reason from the future"))
    info = ErrorInfo(reason="QueryTooClever", domain="glyphseek")
    status.details[0].Pack(info)
    assert type(decode_error(_send(status), "peer")) is ServiceUnavailable


@pytest.mark.parametrize("data", [b"\xff\xff not protobuf", Status(code=3).SerializeToString()])
def test_details_of_somebody_else_count_as_none(data: bytes) -> None:
    failed = Failed(status=StatusCode.INVALID_ARGUMENT, message="no", trailers=((DETAILS_KEY, data),))
    assert not is_ours(failed)
    assert type(decode_error(failed, "peer")) is InputError


def test_long_messages_are_cut_within_a_character() -> None:
    cut = shorten("ä" * 2000)
    assert len(cut.encode()) <= 1000
    assert cut.endswith("ä...")
    assert shorten("short") == "short"
