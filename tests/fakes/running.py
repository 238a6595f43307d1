"""A service on a real server, as a plain process runs it, with a client that is connected to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from integration.servers import find_free_ports

from glyphseek.errors import ServiceError
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health
from glyphseek.rpc.server import ServerSettings
from glyphseek.serving.process import serve_until
from glyphseek.serving.service import Service

S = TypeVar("S")


@contextmanager
def running(service: Service[S], *, is_ready: bool = True) -> Generator[Client]:
    """Serve inside the block, from when the service says that it is ready unless that is not wanted."""
    port = find_free_ports(1)
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    def serve() -> None:
        settings = ServerSettings(port=port, drain_s=0.2)
        loop.run_until_complete(serve_until(service, settings, stopping, look_s=0.05))
        loop.close()

    thread = threading.Thread(target=serve, name="service")
    thread.start()
    try:
        with Client(Endpoint(host="127.0.0.1", port=port), service=service.name) as client:
            while not (_is_ready(client) if is_ready else _listens(port)):
                time.sleep(0.02)
            yield client
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(30)
        service.close()


def _is_ready(client: Client) -> bool:
    try:
        check_health(client, timeout_s=5.0)
    except ServiceError:
        return False
    return True


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
