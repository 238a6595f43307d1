"""Answering a call: its context, its deadline, its errors, its log line. The same behind grpc.aio and behind Ray Serve.

A servicer is a class with the attribute `calls` whose rpc methods are decorated:

    class RerankerServicer:
        def __init__(self, job: Reranker, calls: Calls) -> None: ...

        @translated
        async def Rerank(self, request: RerankRequest, grpc_context: GrpcContext) -> RerankResponse: ...

The parameter must be called `grpc_context`: Ray Serve hands it over by that name. Serve has no interceptors.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from glyphseek.errors import DeadlineExceeded, GlyphseekError, Overloaded, QueryError
from glyphseek.metrics import Metrics
from glyphseek.rpc.context import CallContext, call_bound, read_metadata
from glyphseek.rpc.status import status_of
from glyphseek.rpc.stepping import in_one_context
from glyphseek.rpc.wire_errors import DETAILS_KEY, encode_error, encode_internal
from glyphseek.tracing import span

_log = logging.getLogger(__name__)

A = TypeVar("A")
Q = TypeVar("Q")
S = TypeVar("S", bound="Servicer")

_TRANSLATED = "__is_translated__"
_BY_NUMBER = {cast("tuple[int, str]", code.value)[0]: code for code in StatusCode}


class GrpcContext(Protocol):
    """What a servicer is told of a call by grpc.aio and by Ray Serve alike."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return what the caller sent with the request."""
        ...

    def set_code(self, code: StatusCode) -> None:
        """Set the status of the answer."""
        ...

    def set_details(self, details: str) -> None:
        """Set the message of the status."""
        ...


class Calls:
    """The calls of one service: answers them, logs a line for each and counts them."""

    def __init__(
        self, service: str, *, metrics: Metrics | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._clock = clock

    async def answer(self, method: str, grpc_context: GrpcContext, work: Callable[[], Awaitable[A]]) -> A:
        """Return what `work` answers, within the caller's deadline and context; an error becomes the call's status."""
        call = _read_call(grpc_context)
        with call_bound(call), span(f"{self._service}.{method}"), _Entry(self, method, call) as entry:
            try:
                answer = await _finish_in_time(call, work)
            except Exception as error:  # noqa: BLE001 - the edge of the process: told apart and logged there
                status = entry.fail(error)
            else:
                entry.succeed()
                return answer
        return cast(A, await _refuse(grpc_context, status))

    async def stream(
        self, method: str, grpc_context: GrpcContext, work: Callable[[], AsyncGenerator[A]]
    ) -> AsyncGenerator[A]:
        """Yield what `work` yields, as `answer` does; an error ends the stream with its status.

        Closing it, or dropping it, ends the work too.
        """
        async with aclosing(in_one_context(self._stream(method, grpc_context, work))) as answers:
            async for answer in answers:
                yield answer

    async def _stream(
        self, method: str, grpc_context: GrpcContext, work: Callable[[], AsyncGenerator[A]]
    ) -> AsyncGenerator[A]:
        call = _read_call(grpc_context)
        with call_bound(call), span(f"{self._service}.{method}"), _Entry(self, method, call) as entry:
            try:
                _check_time(call)
                async with aclosing(work()) as answers:
                    async for answer in answers:
                        yield answer
            except Exception as error:  # noqa: BLE001 - the edge of the process: told apart and logged there
                status = entry.fail(error)
            else:
                entry.succeed()
                return
        await _refuse(grpc_context, status)

    def enter(self) -> float:
        """Note that a call has begun; return the moment."""
        if self._metrics is not None:
            self._metrics.requests_in_flight.labels(self._service).inc()
        return self._clock()

    def leave(self, method: str, started: float, code: StatusCode, error: BaseException | None) -> None:
        """Note how a call ended."""
        took_s = self._clock() - started
        kind = "" if error is None else type(error).__name__
        level = logging.WARNING if _is_own_fault(error) else logging.INFO
        told = f" error={kind}" if isinstance(error, GlyphseekError) else ""
        if told and not isinstance(error, QueryError):  # whose words repeat what somebody looked for
            told += f" reason={str(error)!r}"
        _log.log(
            level, "call service=%s method=%s code=%s ms=%.1f%s", self._service, method, code.name, 1000 * took_s, told
        )
        if (metrics := self._metrics) is None:
            return
        metrics.requests_in_flight.labels(self._service).dec()
        metrics.requests.labels(self._service, method, code.name).inc()
        metrics.request_seconds.labels(self._service, method).observe(took_s)
        if error is not None:
            metrics.errors.labels(self._service, kind).inc()
        if isinstance(error, Overloaded):
            metrics.rejected_requests.labels(self._service, method).inc()


class Servicer(Protocol):
    """What `translated` needs of the class whose methods it decorates."""

    @property
    def calls(self) -> Calls:
        """Return what answers the calls of this service."""
        ...


def translated(
    method: Callable[[S, Q, GrpcContext], Awaitable[A]],
) -> Callable[[S, Q, GrpcContext], Coroutine[Any, Any, A]]:
    """Make a coroutine method `(self, request, grpc_context)` an rpc that never leaks: see `Calls.answer`."""

    @wraps(method)
    async def answer(self: S, request: Q, grpc_context: GrpcContext) -> A:
        name = method.__name__
        return await self.calls.answer(name, grpc_context, lambda: method(self, request, grpc_context))

    setattr(answer, _TRANSLATED, True)
    return answer


def translated_stream(
    method: Callable[[S, Q, GrpcContext], AsyncGenerator[A]],
) -> Callable[[S, Q, GrpcContext], AsyncGenerator[A]]:
    """Make an async generator `(self, request or requests, grpc_context)` a streaming rpc; see `Calls.stream`."""

    @wraps(method)
    async def answer(self: S, request: Q, grpc_context: GrpcContext) -> AsyncGenerator[A]:
        name = method.__name__
        answers = self.calls.stream(name, grpc_context, lambda: method(self, request, grpc_context))
        async with aclosing(answers):
            async for one in answers:
                yield one

    setattr(answer, _TRANSLATED, True)
    return answer


def is_translated(method: object) -> bool:
    """Return whether a method was made an rpc by this module."""
    return getattr(method, _TRANSLATED, False) is True


class _Entry:
    """The line of one call in the log and in the metrics; written when the block ends, however it ends."""

    def __init__(self, calls: Calls, method: str, call: CallContext) -> None:
        self._calls = calls
        self._method = method
        self._request_id = call.request_id
        self._code = StatusCode.CANCELLED  # neither succeeded nor failed: the caller went away
        self._error: BaseException | None = None
        self._started = 0.0

    def __enter__(self) -> _Entry:
        self._started = self._calls.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.leave(self._method, self._started, self._code, self._error)

    def succeed(self) -> None:
        self._code = StatusCode.OK

    def fail(self, error: Exception) -> Status:
        """Return what the caller is told; an error that nobody raised on purpose is only told here, in the log."""
        self._error = error
        if isinstance(error, GlyphseekError):
            self._code = status_of(error).code
            return encode_error(error)
        self._code = StatusCode.INTERNAL
        _log.exception("call_failed method=%s", self._method)
        return encode_internal(self._request_id)


def _read_call(grpc_context: GrpcContext) -> CallContext:
    """Return the context of a call. Only grpc.aio knows the transport's deadline."""
    ask = cast("Callable[[], float | None] | None", getattr(grpc_context, "time_remaining", None))
    return read_metadata(grpc_context.invocation_metadata(), transport_timeout_s=None if ask is None else ask())


async def _finish_in_time(call: CallContext, work: Callable[[], Awaitable[A]]) -> A:
    limit = asyncio.timeout(_check_time(call))
    try:
        async with limit:
            return await work()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineExceeded("the time that the caller gave is over") from error


def _check_time(call: CallContext) -> float | None:
    left_s = call.remaining_s()
    if left_s is not None and left_s <= 0:
        raise DeadlineExceeded("the time that the caller gave was over on arrival")
    return left_s


def _is_own_fault(error: BaseException | None) -> bool:
    return error is not None and (not isinstance(error, GlyphseekError) or status_of(error).http >= 500)


async def _refuse(grpc_context: GrpcContext, status: Status) -> object:
    """End the call with a status. grpc.aio is told by `abort`, which raises.

    Ray Serve's context has none, and its direct ingress drops the trailers of a method that raises: so the status is
    set and an empty message is answered, which callers never see.
    """
    code, trailers = _BY_NUMBER[status.code], ((DETAILS_KEY, status.SerializeToString()),)
    abort = cast("Callable[..., Awaitable[None]] | None", getattr(grpc_context, "abort", None))
    if abort is not None:
        await abort(code, status.message, trailers)
    grpc_context.set_code(code)
    grpc_context.set_details(status.message)
    cast("Callable[[object], None]", getattr(grpc_context, "set_trailing_metadata"))(list(trailers))  # noqa: B009
    return Empty()
