"""Around every HTTP request: its id, its deadline, bounds of its body, its line in log and metrics, its errors."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from grpc import StatusCode
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glyphseek.errors import DeadlineExceeded, GlyphseekError, InputError
from glyphseek.logs import note_caller
from glyphseek.rpc.calls import Calls
from glyphseek.rpc.context import TRACEPARENT, call_bound, current_call, start_call
from glyphseek.rpc.problems import MEDIA_TYPE, Problem, problem_of
from glyphseek.rpc.status import status_of
from glyphseek.tracing import span
from glyphseek_gateway.keys import Caller, Keys, secret_of
from glyphseek_gateway.limits import Limits

REQUEST_ID_HEADER = "X-Request-Id"
DEADLINE_HEADER = "X-Deadline-Ms"

_ERROR = "glyphseek.error"  # where the scope of a request holds the error that it ended with
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    404: StatusCode.NOT_FOUND,
    405: StatusCode.UNIMPLEMENTED,
    413: StatusCode.INVALID_ARGUMENT,
    422: StatusCode.INVALID_ARGUMENT,
    503: StatusCode.UNAVAILABLE,
}

_LOG = logging.getLogger(__name__)


class BodyTooLarge(HTTPException):
    """The body of a request is over its bound; FastAPI lets it through to where errors are told."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body has more than {limit} bytes, which is the limit")


class Edge:
    """An ASGI application around another; whatever that one raises, the caller is told a problem and nothing more."""

    def __init__(self, app: ASGIApp, *, calls: Calls, limits: Limits, sends_request_id: bool = True) -> None:
        """`sends_request_id` is false where a server around this one sends it back by itself."""
        self._app = app
        self._sends_request_id = sends_request_id
        self._calls = calls
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _read_headers(scope)
        call = start_call(
            request_id=headers.get(REQUEST_ID_HEADER.lower(), ""),
            timeout_s=_read_deadline(headers),
            traceparent=headers.get(TRACEPARENT, ""),
        )
        answer = _Answer(send, call.request_id, sends_request_id=self._sends_request_id)
        note_caller("")
        with call_bound(call), span(f"http.{scope['method']}"):
            started = self._calls.enter()
            try:
                await self._answer(scope, headers, receive, answer)
            finally:
                self._calls.leave(_name_of(scope), started, answer.code_of(scope), scope.get(_ERROR))

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive, answer: _Answer) -> None:
        try:
            if (call := current_call()) is not None and (left_s := call.remaining_s()) is not None and left_s <= 0:
                raise DeadlineExceeded("the time that the caller gave was over on arrival")
            await self._app(scope, self._bound(scope, headers, receive), answer.send)
        except Exception as error:  # noqa: BLE001 - the edge of the process: told apart and logged here
            scope[_ERROR] = error
            if not isinstance(error, GlyphseekError | HTTPException):
                _LOG.exception("request_failed path=%s", scope["path"])
            if answer.has_begun:
                return
            response = tell(error, answer.request_id)
            await response(scope, receive, answer.send)

    def _bound(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Receive:
        """Return `receive`, which raises BodyTooLarge before more than the bound is taken into memory."""
        is_upload = scope["method"] == "POST" and scope["path"].endswith("/images")
        limit = self._limits.max_upload_bytes if is_upload else self._limits.max_json_bytes
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise BodyTooLarge(limit)
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge(limit)
            return message

        return bounded


class _Answer:
    """What is sent back: with the id of the request, and with the status noted."""

    def __init__(self, send: Send, request_id: str, *, sends_request_id: bool) -> None:
        self._send = send
        self._sends_request_id = sends_request_id
        self.request_id = request_id
        self.status = 0

    @property
    def has_begun(self) -> bool:
        """Return whether the status is out already."""
        return self.status > 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            if self._sends_request_id:
                name = REQUEST_ID_HEADER.lower().encode()
                message["headers"] = [*message.get("headers", []), (name, self.request_id.encode())]
        await self._send(message)

    def code_of(self, scope: Scope) -> StatusCode:
        """Return the status as gRPC calls it, so that both transports are counted alike."""
        error = scope.get(_ERROR)
        if isinstance(error, GlyphseekError):
            return status_of(error).code
        if 200 <= self.status < 400:
            return StatusCode.OK
        return _CODES.get(self.status, StatusCode.INTERNAL)


async def tell_error(request: Request, error: Exception) -> JSONResponse:
    """Return an error that a route raised as a problem, and note it for log and metrics."""
    request.scope[_ERROR] = error
    call = current_call()
    return tell(error, "" if call is None else call.request_id)


def tell(error: Exception, request_id: str) -> JSONResponse:
    """Return an error as `application/problem+json`."""
    if isinstance(error, RequestValidationError):
        error = InputError(_describe(error))
    if isinstance(error, StarletteHTTPException):
        problem = Problem(
            status=error.status_code,
            type="about:blank",
            title=str(error.detail),
            detail=str(error.detail),
            request_id=request_id,
        )
    else:
        problem = problem_of(error, request_id)
    return JSONResponse(problem.as_json(), status_code=problem.status, headers=problem.headers(), media_type=MEDIA_TYPE)


def identify(keys: Keys) -> Callable[[Request], Awaitable[Caller]]:
    """Return what finds out who sends a request, for routes to depend on."""

    async def find(request: Request) -> Caller:
        caller = keys.identify(secret_of(request.headers))
        note_caller(caller.name)
        return caller

    return find


def _read_headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _read_deadline(headers: dict[str, str]) -> float | None:
    """Return the seconds of the header; what is no number of milliseconds is left out, as over gRPC."""
    try:
        milliseconds = float(headers.get(DEADLINE_HEADER.lower(), ""))
    except ValueError:
        return None
    return milliseconds / 1000 if math.isfinite(milliseconds) else None


def _name_of(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "name", "unknown"))


def _describe(error: RequestValidationError) -> str:
    """Return what is wrong and where, without what was sent."""
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
