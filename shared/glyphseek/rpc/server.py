"""A gRPC server of one process: bounded, with health and reflection, and no error that leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as aio_health  # pyright: ignore[reportAttributeAccessIssue] - it is there
from grpc_reflection.v1alpha import reflection

from glyphseek.errors import SettingError
from glyphseek.rpc.calls import is_translated

S = TypeVar("S")

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server listens; impossible values raise SettingError.

    port: 0 for any free one. max_message_bytes: of one request or answer. max_calls: answered at once; more are refused
    with RESOURCE_EXHAUSTED. drain_s: how long calls in flight may go on when the server stops.
    connection_age_s: after which a client is asked to connect again, so that new replicas get their share.
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_message_bytes: int = 64 * 2**20
    max_calls: int = 256
    drain_s: float = 5.0
    connection_age_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SettingError(f"port is {self.port}, it must be within 0 to 65535")
        for name, least in (("max_message_bytes", 1), ("max_calls", 1), ("drain_s", 0), ("connection_age_s", 1)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")

    def server_options(self) -> list[tuple[str, int]]:
        """Return the options of a server. Two servers never share a port: the second is told that it is taken."""
        return [
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_connection_age_ms", round(1000 * self.connection_age_s)),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ]


class Server:
    """Services on one port. Build it inside the event loop that runs it."""

    def __init__(self, settings: ServerSettings | None = None) -> None:
        self._settings = settings or ServerSettings()
        self._server = grpc.aio.server(
            options=self._settings.server_options(), maximum_concurrent_rpcs=self._settings.max_calls
        )
        self._health = aio_health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._services: list[str] = []

    def add(self, service: ServiceDescriptor, servicer: S, add_servicer: Callable[[S, grpc.aio.Server], None]) -> None:
        """Offer a service; `add_servicer` is the generated `add_..._to_server`.

        Raises SettingError for a servicer with a method that is missing or whose errors are not translated.
        """
        for method in service.methods:
            if not is_translated(getattr(servicer, method.name, None)):
                raise SettingError(f"{type(servicer).__name__}.{method.name} is not translated")
        add_servicer(servicer, self._server)
        self._services.append(service.full_name)

    async def start(self, *, is_ready: bool = True) -> int:
        """Listen, and return the port. Health says NOT_SERVING until the server is ready.

        Raises SettingError for an address that cannot be had.
        """
        reflection.enable_server_reflection(
            [*self._services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME],
            self._server,
        )
        await self.set_ready(is_ready)
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise SettingError(f"cannot listen on {address}: it is taken or not of this machine") from error
        await self._server.start()
        return port

    async def set_ready(self, is_ready: bool) -> None:
        """Say in health whether the services can answer."""
        for service in ("", *self._services):
            await self._health.set(service, _SERVING if is_ready else _NOT_SERVING)

    async def stop(self) -> None:
        """Take no more calls, let those in flight end for as long as the settings say, and close."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.drain_s)

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait_for_termination()
