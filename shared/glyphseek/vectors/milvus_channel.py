"""How pymilvus calls a server: within the time that the caller has, and without connecting anew by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import grpc

from glyphseek.deadlines import time_left
from glyphseek.errors import DeadlineExceeded

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_Continue = Callable[[grpc.ClientCallDetails, object], object]


class _Handler(Protocol):
    """What is used of pymilvus' `GrpcHandler`, all of it private: it has no other way to be told."""

    _final_channel: grpc.Channel
    _stub: object
    _on_rpc_error: Callable[[Exception], bool]


def channel_options(timeout_s: float) -> dict[str, object]:
    """Return the options of a connection whose calls take `timeout_s` at most, and whose loss is soon found out."""
    any_call = {"name": [{}], "timeout": f"{timeout_s:.3f}s"}
    return {
        "grpc.service_config": json.dumps({"methodConfig": [any_call]}),
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2000,
        "grpc.keepalive_time_ms": 20_000,
        "grpc.keepalive_timeout_ms": 5000,
    }


def keep_deadlines(client: MilvusClient, *, timeout_s: float) -> None:
    """Bound each gRPC call of an open client by `timeout_s` and by the deadline of the caller, whichever is sooner.

    pymilvus' own `timeout=` would also mean: try again until then. What it does when a server is gone is turned off as
    well: it connects anew under one lock of the whole process, for as long as connecting may take, however little time
    the callers have who wait for it; gRPC connects anew by itself.
    """
    from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub

    handler = cast(_Handler, client._get_connection())  # pyright: ignore[reportPrivateUsage]
    channel = grpc.intercept_channel(handler._final_channel, _Bounded(timeout_s))  # pyright: ignore[reportPrivateUsage]
    handler._stub = MilvusServiceStub(channel)  # pyright: ignore[reportPrivateUsage]
    handler._on_rpc_error = lambda _: False  # pyright: ignore[reportPrivateUsage]


class _Bounded(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def intercept_unary_unary(
        self, continuation: _Continue, client_call_details: grpc.ClientCallDetails, request: object
    ) -> Any:  # noqa: ANN401 - a call, for whose type grpc has no public name
        """Make the call, however long it wants to take, within the time that is left."""
        return continuation(_Details(client_call_details, _time_left(self._timeout_s)), request)


class _Details(grpc.ClientCallDetails):
    """Another call's details with a timeout of their own."""

    def __init__(self, wanted: grpc.ClientCallDetails, timeout_s: float) -> None:
        self.method = wanted.method
        self.timeout = timeout_s
        self.metadata = wanted.metadata
        self.credentials = wanted.credentials
        self.wait_for_ready = wanted.wait_for_ready
        self.compression = wanted.compression


def _time_left(most_s: float) -> float:
    try:
        return time_left(most_s)
    except DeadlineExceeded:
        return 0.0  # which fails at once, as a call that took too long
