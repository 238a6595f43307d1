"""Calls to one service: bounded in time, tried again where that is safe, and errors as the server raised them."""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

import grpc
from grpc import StatusCode

from glyphseek.errors import GlyphseekError, SettingError
from glyphseek.rpc.context import time_left, write_metadata
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.wire_errors import FailedCall, decode_error, is_ours, shorten
from glyphseek.tracing import span, span_beside, trace_continued

Q = TypeVar("Q", contravariant=True)
A = TypeVar("A", covariant=True)
Request = TypeVar("Request")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

_LOST = frozenset({StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.INTERNAL, StatusCode.UNKNOWN})
"""Without our details, each may mean that a replica ended in the middle: Ray Serve's proxy says INTERNAL then."""

_LONGEST_WAIT_S = 1.0  # between two attempts


class UnaryMethod(Protocol[Q, A]):
    """One rpc of a generated stub."""

    def __call__(self, request: Q, *, timeout: float, metadata: Sequence[tuple[str, str]]) -> A:
        """Return the answer; raises `grpc.RpcError`."""
        ...


class StreamMethod(Protocol[Q, A]):
    """One rpc of a generated stub that streams both ways."""

    def __call__(self, requests: Iterator[Q], *, timeout: float, metadata: Sequence[tuple[str, str]]) -> Iterator[A]:
        """Return the answers as they come; reading them raises `grpc.RpcError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How a service is called; impossible values raise SettingError.

    max_message_bytes: of one request or answer. keepalive_s: how long a connection with calls in flight may be silent
    before it is probed, so that a machine that vanished is found out.
    attempts: how often an idempotent call is made at most, inside its deadline. first_wait_s: between the first two;
    each later wait is twice as long, a second at most, and up to half of it is left to chance.
    """

    max_message_bytes: int = 64 * 2**20
    keepalive_s: float = 20.0
    attempts: int = 3
    first_wait_s: float = 0.02

    def __post_init__(self) -> None:
        for name, least in (("max_message_bytes", 1), ("keepalive_s", 1), ("attempts", 1), ("first_wait_s", 0)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")

    def channel_options(self) -> list[tuple[str, int | str]]:
        """Return the options of a channel. A lost server is looked for every second at least, not every two minutes."""
        return [
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", round(1000 * self.keepalive_s)),
            ("grpc.keepalive_timeout_ms", 5000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # A name with several addresses is a service with several replicas: take turns.
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ]


class Client:
    """One service at one place; safe to share between threads. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        service: str,
        settings: ClientSettings | None = None,
        credentials: Sequence[tuple[str, str]] = (),
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`service` names it in errors and logs; nothing is connected before the first call.

        `credentials` are sent with every call, such as `("authorization", "Bearer ...")`, and never logged.
        """
        self._settings = settings or ClientSettings()
        self._endpoint = endpoint
        self._service = service
        self._credentials = tuple(credentials)
        self._sleep = sleep
        self._chance = chance
        self.channel = grpc.insecure_channel(endpoint.address, options=self._settings.channel_options())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the calls in flight and disconnect."""
        self.channel.close()

    @property
    def peer(self) -> str:
        """Return whom errors speak of: `reranker 127.0.0.1:50062`."""
        return f"{self._service} {self._endpoint}"

    def call(
        self, method: UnaryMethod[Request, Answer], request: Request, *, timeout_s: float, is_idempotent: bool = True
    ) -> Answer:
        """Return the answer within `timeout_s`, or within what the current call has left if that is less.

        A call that got lost on the way is made again inside that time, where it `is_idempotent`. Raises the error that
        the server raised; DeadlineExceeded, Overloaded or ServiceUnavailable naming the address otherwise.
        """
        ends = time.monotonic() + time_left(timeout_s)
        with span(f"call.{self._service}"):
            for attempt in itertools.count(1):
                try:
                    return self._try(method, request, ends - time.monotonic())
                except grpc.RpcError as error:
                    failed = cast(FailedCall, error)
                    wait_s = self._wait_after(attempt)
                    may_repeat = is_idempotent and attempt < self._settings.attempts and is_lost(failed)
                    if not may_repeat or time.monotonic() + wait_s >= ends:
                        raise self._translate(failed) from error
                self._sleep(wait_s)
        raise AssertionError("unreachable")

    def stream(
        self, method: StreamMethod[Request, Answer], requests: Iterable[Request], *, timeout_s: float
    ) -> Generator[Answer]:
        """Yield the answers to a stream of requests as they come, all within `timeout_s`; nothing is made again.

        Requests are drawn in a thread of gRPC's own. Closing what is returned cancels the call. Raises as `call` does.
        """
        timeout_s = time_left(timeout_s)
        with span_beside(f"call.{self._service}") as traceparent:
            with trace_continued(traceparent):
                metadata = self.metadata(timeout_s)
            answers = method(iter(requests), timeout=timeout_s, metadata=metadata)
            try:
                yield from answers
            except grpc.RpcError as error:
                raise self._translate(cast(FailedCall, error)) from error
            finally:
                cast(grpc.RpcContext, answers).cancel()

    def _try(self, method: UnaryMethod[Request, Answer], request: Request, left_s: float) -> Answer:
        return method(request, timeout=max(0.0, left_s), metadata=self.metadata(left_s))

    def metadata(self, timeout_s: float) -> list[tuple[str, str]]:
        """Return what is sent with a call: the context, and the application behind Ray Serve."""
        return [*write_metadata(timeout_s), *_route(self._endpoint), *self._credentials]

    def _wait_after(self, attempt: int) -> float:
        longest_s = min(_LONGEST_WAIT_S, self._settings.first_wait_s * 2 ** (attempt - 1))
        return longest_s * (1 - self._chance() / 2)

    def _translate(self, failed: FailedCall) -> GlyphseekError:
        if not is_ours(failed):
            _log.warning(
                "call_lost peer=%r code=%s details=%r", self.peer, failed.code().name, shorten(failed.details() or "")
            )
        return decode_error(failed, self.peer)


def is_lost(failed: FailedCall) -> bool:
    """Return whether the call may not have been answered by a servicer at all: making it again may help."""
    return failed.code() in _LOST and not is_ours(failed)


def _route(endpoint: Endpoint) -> list[tuple[str, str]]:
    return [("application", endpoint.application)] if endpoint.application else []
