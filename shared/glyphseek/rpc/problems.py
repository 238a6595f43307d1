"""Errors as problems of HTTP (RFC 9457, `application/problem+json`), and back into the same classes at the caller."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from glyphseek import errors
from glyphseek.errors import GlyphseekError
from glyphseek.rpc.status import internal_message, make_error, retry_after_of, status_named, status_of

MEDIA_TYPE = "application/problem+json"

_INTERNAL = "urn:glyphseek:problem:InternalError"
_BY_STATUS: dict[int, type[GlyphseekError]] = {
    400: errors.InputError,
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.InputError,
    405: errors.InputError,
    413: errors.InputError,
    415: errors.InputError,
    422: errors.InputError,
    429: errors.Overloaded,
    504: errors.DeadlineExceeded,
}
"""What a status without our problem means: it is a framework's or a proxy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The body and the headers of an answer that tells an error. `retry_after_s` is there for some only."""

    status: int
    type: str
    title: str
    detail: str
    request_id: str
    retry_after_s: float | None = None

    def as_json(self) -> dict[str, str | int | float]:
        """Return the members of the body."""
        retry = {} if self.retry_after_s is None else {"retry_after_s": self.retry_after_s}
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": self.request_id,
            **retry,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers beside the content type: Retry-After in whole seconds, and what 401 asks for."""
        retry = {} if self.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
        return retry | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def problem_of(error: BaseException, request_id: str) -> Problem:
    """Return how an error is told; of one that nobody raised on purpose only the id of the request is."""
    if not isinstance(error, GlyphseekError):
        detail = internal_message(request_id)
        return Problem(status=500, type=_INTERNAL, title="Internal error", detail=detail, request_id=request_id)
    row = status_of(error)
    return Problem(
        status=row.http,
        type=row.problem_type,
        title=row.title,
        detail=str(error),
        request_id=request_id,
        retry_after_s=retry_after_of(error),
    )


def error_of_problem(status: int, body: Mapping[str, object], peer: str) -> GlyphseekError:
    """Return the very error that a server told in `body`, or what the status means of `peer` where it told none."""
    told = str(body.get("type", ""))
    detail = str(body.get("detail") or f"{peer} answered {status}")
    row = status_named(told.removeprefix("urn:glyphseek:problem:")) if told.startswith("urn:glyphseek:") else None
    if row is None:
        return _BY_STATUS.get(status, errors.ServiceUnavailable)(detail)
    retry_after_s = body.get("retry_after_s")
    return make_error(row, detail, retry_after_s=retry_after_s if isinstance(retry_after_s, float | int) else None)
