"""Servicers on a real gRPC server: grpc.aio in a thread of its own, on a free port of loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from google.protobuf.descriptor import ServiceDescriptor

from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.server import Server, ServerSettings

T = TypeVar("T")

Offer = tuple[ServiceDescriptor, object, Callable[[Any, Any], None]]
"""A service, its servicer and the generated function that adds it."""


class ServerThread:
    """A server that is started and stopped from tests; `port` keeps its value when it is started again."""

    def __init__(self, *offers: Offer, settings: ServerSettings | None = None) -> None:
        self._offers = offers
        self._settings = settings or ServerSettings(drain_s=0.2)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")
        self._thread.start()
        self.server = self.run(self._start())

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(host="127.0.0.1", port=self.port)

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Return what a coroutine returns on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def stop(self) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _start(self) -> Server:
        server = Server(self._settings)
        for descriptor, servicer, add in self._offers:
            server.add(descriptor, servicer, add)
        self.port = await server.start()
        return server


@contextmanager
def served(*offers: Offer, settings: ServerSettings | None = None) -> Generator[ServerThread]:
    """Serve inside the block."""
    thread = ServerThread(*offers, settings=settings)
    try:
        yield thread
    finally:
        thread.stop()
