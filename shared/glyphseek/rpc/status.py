"""The one table of errors: what each is called in gRPC and in HTTP. Both transports and both ends read it."""

from __future__ import annotations

from dataclasses import dataclass

from grpc import StatusCode

from glyphseek import errors
from glyphseek.errors import GlyphseekError

DOMAIN = "glyphseek"
"""Domain of `google.rpc.ErrorInfo`; its reason is the name of the error's class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStatus:
    """What an error is called: `title` is a few words for people that do not change from case to case."""

    error: type[GlyphseekError]
    code: StatusCode
    http: int
    title: str

    @property
    def reason(self) -> str:
        """Return the name of the error's class, such as `QueryError`."""
        return self.error.__name__

    @property
    def problem_type(self) -> str:
        """Return the URI of RFC 9457 that names this kind of problem: `urn:glyphseek:problem:QueryError`."""
        return f"urn:glyphseek:problem:{self.reason}"


def _row(error: type[GlyphseekError], code: StatusCode, http: int, title: str) -> ErrorStatus:
    return ErrorStatus(error=error, code=code, http=http, title=title)


TABLE: tuple[ErrorStatus, ...] = (
    _row(errors.GlyphseekError, StatusCode.INTERNAL, 500, "Internal error"),
    _row(errors.InputError, StatusCode.INVALID_ARGUMENT, 422, "The request cannot be used"),
    _row(errors.QueryError, StatusCode.INVALID_ARGUMENT, 422, "The query cannot be asked"),
    _row(errors.ImageError, StatusCode.INVALID_ARGUMENT, 422, "The image cannot be indexed"),
    _row(errors.ImageUnreadable, StatusCode.INVALID_ARGUMENT, 422, "The image cannot be read"),
    _row(errors.ImageUnsupported, StatusCode.INVALID_ARGUMENT, 415, "Not an image that is read here"),
    _row(errors.ImageTooLarge, StatusCode.INVALID_ARGUMENT, 413, "The image is too large"),
    _row(errors.ImageNotFound, StatusCode.NOT_FOUND, 404, "No such image"),
    _row(errors.SettingError, StatusCode.INVALID_ARGUMENT, 422, "A setting is impossible"),
    _row(errors.GalleryError, StatusCode.FAILED_PRECONDITION, 409, "The collection cannot be used"),
    _row(errors.GalleryNotFound, StatusCode.NOT_FOUND, 404, "No such collection"),
    _row(errors.GalleryBusy, StatusCode.ABORTED, 409, "The collection is in use"),
    _row(errors.GalleryDamaged, StatusCode.DATA_LOSS, 500, "The collection is damaged"),
    _row(errors.ModelMismatch, StatusCode.FAILED_PRECONDITION, 409, "Another model is meant"),
    _row(errors.BlobError, StatusCode.DATA_LOSS, 500, "Stored features cannot be used"),
    _row(errors.BlobMissing, StatusCode.DATA_LOSS, 500, "Stored features are missing"),
    _row(errors.BlobDamaged, StatusCode.DATA_LOSS, 500, "Stored features are damaged"),
    _row(errors.BlobForeign, StatusCode.DATA_LOSS, 500, "Stored features are of another model"),
    _row(errors.StoreError, StatusCode.INTERNAL, 502, "A store refused"),
    _row(errors.StoreFull, StatusCode.RESOURCE_EXHAUSTED, 507, "A store is full"),
    _row(errors.StoreUnavailable, StatusCode.UNAVAILABLE, 503, "A store does not answer"),
    _row(errors.ModelError, StatusCode.FAILED_PRECONDITION, 500, "The model cannot be used"),
    _row(errors.ModelNotFound, StatusCode.NOT_FOUND, 404, "No such model"),
    _row(errors.CheckpointDamaged, StatusCode.DATA_LOSS, 500, "The model is damaged"),
    _row(errors.ServiceError, StatusCode.UNAVAILABLE, 502, "A service failed"),
    _row(errors.ServiceUnavailable, StatusCode.UNAVAILABLE, 503, "A service does not answer"),
    _row(errors.DeadlineExceeded, StatusCode.DEADLINE_EXCEEDED, 504, "The time is over"),
    _row(errors.Overloaded, StatusCode.RESOURCE_EXHAUSTED, 429, "Too many requests"),
    _row(errors.Unauthenticated, StatusCode.UNAUTHENTICATED, 401, "A key is needed"),
    _row(errors.PermissionDenied, StatusCode.PERMISSION_DENIED, 403, "The key does not allow this"),
    _row(errors.MissingExtra, StatusCode.UNIMPLEMENTED, 501, "Not installed on the server"),
)
"""One row for each class of `glyphseek.errors`."""

_BY_CLASS = {row.error: row for row in TABLE}
_BY_REASON = {row.reason: row for row in TABLE}


def status_of(error: GlyphseekError) -> ErrorStatus:
    """Return the row of the error's class, or of its nearest base for a class of another module."""
    return next(_BY_CLASS[one] for one in type(error).__mro__ if one in _BY_CLASS)


def status_named(reason: str) -> ErrorStatus | None:
    """Return the row of the class with that name; None for a name that this version does not know."""
    return _BY_REASON.get(reason)


def make_error(row: ErrorStatus, message: str, *, retry_after_s: float | None = None) -> GlyphseekError:
    """Return an error of the row's class; `retry_after_s` is kept by the class that has it."""
    if row.error is errors.Overloaded and retry_after_s is not None:
        return errors.Overloaded(message, retry_after_s=retry_after_s)
    return row.error(message)


def retry_after_of(error: GlyphseekError) -> float | None:
    """Return after how many seconds the caller may try again; None where the error does not say."""
    return error.retry_after_s if isinstance(error, errors.Overloaded) else None


def internal_message(request_id: str) -> str:
    """Return all that a caller is told of an error that nobody raised on purpose."""
    return f"internal error, request id {request_id}"
