"""Errors as gRPC statuses with `google.rpc` details, and back into the same classes at the caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from glyphseek import errors
from glyphseek.errors import GlyphseekError, InputError
from glyphseek.rpc.status import DOMAIN, internal_message, make_error, retry_after_of, status_named, status_of

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata that carries `google.rpc.Status`."""

_MOST_BYTES = 1000  # of a message: it is sent twice, percent-encoded once, and trailers end at 8 KiB

_BY_CODE: dict[StatusCode, type[GlyphseekError]] = {
    StatusCode.INVALID_ARGUMENT: errors.InputError,
    StatusCode.OUT_OF_RANGE: errors.InputError,
    StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
}
"""What a status without our details means: it is the transport's, a proxy's, or Ray Serve's own."""


class FailedCall(Protocol):
    """What `grpc.RpcError` of a finished call knows, whether of the plain or the asyncio library."""

    def code(self) -> StatusCode:
        """Return the status."""
        ...

    def details(self) -> str | None:
        """Return the message."""
        ...

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return the trailers."""
        ...


def encode_error(error: GlyphseekError) -> Status:
    """Return the error as `google.rpc.Status`: ErrorInfo with the class, RetryInfo and BadRequest where they apply."""
    row, message = status_of(error), shorten(str(error))
    status = _make_status(row.code, row.reason, message)
    if (retry_after_s := retry_after_of(error)) is not None:
        delay = Duration()
        delay.FromMilliseconds(round(1000 * retry_after_s))
        status.details.append(_pack(RetryInfo(retry_delay=delay)))
    if isinstance(error, InputError) and row.code is StatusCode.INVALID_ARGUMENT:
        violation = BadRequest.FieldViolation(description=message, reason=row.reason)
        status.details.append(_pack(BadRequest(field_violations=[violation])))
    return status


def encode_internal(request_id: str) -> Status:
    """Return what a caller may know of an error that nobody raised on purpose; it becomes ServiceUnavailable there."""
    return _make_status(StatusCode.INTERNAL, "InternalError", internal_message(request_id))


def decode_error(failed: FailedCall, peer: str) -> GlyphseekError:
    """Return what went wrong: the very class that the server raised, or what the status means of `peer`.

    `peer` names who was called, such as `reranker 127.0.0.1:50062`.
    """
    if (told := _read_details(failed)) is not None:
        return told
    code, details = failed.code(), failed.details() or code_name(failed.code())
    if code is StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return InputError(f"{peer}: {details}")
    match code:
        case StatusCode.DEADLINE_EXCEEDED:
            message = f"{peer} did not answer in time"
        case StatusCode.INTERNAL | StatusCode.UNKNOWN:
            message = f"{peer} failed"  # a proxy may have put a traceback into the details: it goes no further
        case StatusCode.UNAVAILABLE:
            message = f"{peer} cannot be reached"
        case StatusCode.NOT_FOUND | StatusCode.UNIMPLEMENTED:
            message = f"{peer} does not offer this"  # Ray Serve has no application of that name, or not yet
        case _:
            message = f"{peer}: {details}"
    return _BY_CODE.get(code, errors.ServiceUnavailable)(shorten(message))


def is_ours(failed: FailedCall) -> bool:
    """Return whether the status is an answer of our server, and not of the way to it."""
    return _read_details(failed) is not None


def code_name(code: StatusCode) -> str:
    """Return the status in words: `deadline exceeded`."""
    return code.name.lower().replace("_", " ")


def shorten(message: str) -> str:
    """Return the message cut to what fits into trailers."""
    data = message.encode()
    return message if len(data) <= _MOST_BYTES else data[: _MOST_BYTES - 3].decode(errors="ignore") + "..."


def _read_details(failed: FailedCall) -> GlyphseekError | None:
    for key, value in failed.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _decode_status(value)
    return None


def _decode_status(data: bytes) -> GlyphseekError | None:
    try:
        status = Status.FromString(data)
    except DecodeError:
        return None
    info, retry = ErrorInfo(), RetryInfo()
    has_info = any(detail.Unpack(info) for detail in status.details)
    has_retry = any(detail.Unpack(retry) for detail in status.details)
    if not has_info or info.domain != DOMAIN:
        return None
    if (row := status_named(info.reason)) is None:
        return errors.ServiceUnavailable(status.message)
    retry_after_s = retry.retry_delay.ToMilliseconds() / 1000 if has_retry else None
    return make_error(row, status.message, retry_after_s=retry_after_s)


def _make_status(code: StatusCode, reason: str, message: str) -> Status:
    status = Status(code=cast("tuple[int, str]", code.value)[0], message=message)
    status.details.append(_pack(ErrorInfo(reason=reason, domain=DOMAIN)))
    return status


def _pack(detail: ErrorInfo | RetryInfo | BadRequest) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
