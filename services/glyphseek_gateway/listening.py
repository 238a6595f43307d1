"""One process that listens for HTTP and gRPC in one event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from glyphseek.api.v1 import ingest_service_pb2, ingest_service_pb2_grpc, search_service_pb2, search_service_pb2_grpc
from glyphseek.errors import SettingError
from glyphseek.rpc.server import Server, ServerSettings
from glyphseek_gateway.gateway import Gateway
from glyphseek_gateway.readiness import Readiness

_LOOPBACK = "127.0.0.1"
_DRAIN_S = 5
_LOOK_S = 2.0
_MOST_CONNECTIONS = 1024
_WAITING_CONNECTIONS = 1024
_SPARE_BYTES = 2**20  # of a message beside the photo

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where to listen; port 0 is any free one."""

    host: str = _LOOPBACK
    http_port: int = 0
    grpc_port: int = 0


def choose_host(host: str, *, has_keys: bool) -> str:
    """Return the host to listen at: only this machine's own where there are no keys, and say so in the log."""
    if has_keys:
        return host
    _LOG.warning("no_keys host=%s reason='without api_keys_file everybody may do everything'", _LOOPBACK)
    return _LOOPBACK


@asynccontextmanager
async def listening(gateway: Gateway, doors: Doors) -> AsyncGenerator[Doors]:
    """Listen inside the block, and yield where. At its end nothing more is taken, and what runs may finish.

    Raises SettingError for an address that cannot be had.
    """
    limits = gateway.application.limits
    settings = ServerSettings(
        host=doors.host,
        port=doors.grpc_port,
        max_message_bytes=limits.max_image_bytes + _SPARE_BYTES,
        drain_s=_DRAIN_S,
    )
    server = Server(settings)
    server.add(
        search_service_pb2.DESCRIPTOR.services_by_name["SearchService"],
        gateway.search,
        search_service_pb2_grpc.add_SearchServiceServicer_to_server,
    )
    server.add(
        ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"],
        gateway.ingest,
        ingest_service_pb2_grpc.add_IngestServiceServicer_to_server,
    )
    grpc_port = await server.start(is_ready=False)
    try:
        async with _http(gateway.http, doors) as http_port:
            watching = asyncio.create_task(_watch(gateway.readiness, server))
            try:
                yield Doors(host=doors.host, http_port=http_port, grpc_port=grpc_port)
            finally:
                watching.cancel()
    finally:
        await server.stop()


@asynccontextmanager
async def _http(app: FastAPI, doors: Doors) -> AsyncGenerator[int]:
    taken = _take_port(doors)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",  # its lines of access hold whole addresses, and with them what people look for
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.01)
        yield taken.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        taken.close()


class _Uvicorn(uvicorn.Server):
    """Leaves signals to the process, which has more to stop than this."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Do nothing."""
        yield


def _take_port(doors: Doors) -> socket.socket:
    """Return a socket that listens. It says TCP, as asyncio turns off Nagle's algorithm for such sockets only.

    With it every answer waited 40 ms for the acknowledgement of its headers.
    """
    try:
        found = socket.getaddrinfo(
            doors.host, doors.http_port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingError(f"cannot listen on {doors.host}:{doors.http_port}: {error.strerror}") from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(_WAITING_CONNECTIONS)
    except OSError as error:
        taken.close()
        raise SettingError(f"cannot listen on {doors.host}:{doors.http_port}: {error.strerror}") from error
    return taken


async def _watch(readiness: Readiness, server: Server) -> None:
    """Keep what gRPC health says up to date."""
    while True:
        report = await readiness.check()
        await server.set_ready(report.is_ready)
        await asyncio.sleep(_LOOK_S)
