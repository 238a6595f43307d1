"""A small TCP proxy that does to answers what bad networks and sick servers do: to HTTP, and lateness to gRPC too."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

_REQUESTS = (b"GET ", b"PUT ", b"POST ", b"DELETE ", b"HEAD ")
_HTTP_2 = b"PRI * HTTP/2"
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one answer: it comes `delay_s` late, it is cut after so many bytes, or it is only a status.

    With `asked_for`, the fault waits for a request whose bytes have that in them: not for one that a client has let go
    of, which may still be on its way.
    """

    asked_for: bytes = b""
    delay_s: float = 0.0
    cut_after_bytes: int | None = None
    status: int | None = None


class Proxy:
    """Passes connections on to a local port. Each request takes the next of the faults, then the standing one, if any.

    On a connection of HTTP/2, which gRPC speaks, the bytes of answers come late by the standing fault's delay, or until
    it is lifted; the rest does not apply: its requests cannot be told apart here.

    Use it as a context manager. `requests` counts what came in.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._faults: deque[Fault | None] = deque()
        self._standing: Fault | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.requests = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._server = self._run_server()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fail(self, faults: Iterable[Fault | None] = (), *, standing: Fault | None = None) -> None:
        """Let the next requests meet these faults, None being none, and all later ones the standing fault."""
        self._standing = standing
        self._faults = deque(faults)

    def _run_server(self) -> asyncio.Server:
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        return asyncio.run_coroutine_threadsafe(starting, self._loop).result()

    async def _stop(self) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # connections that were just taken begin: cancelled before, they would not be closed
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # closed connections are let go of in the next turns of the loop

    def _next_fault(self, request: bytes) -> Fault | None:
        self.requests += 1
        if self._faults and ((fault := self._faults[0]) is None or fault.asked_for in request):
            return self._faults.popleft()
        return self._standing

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                try:
                    await self._pass(reader, writer, there, back)
                finally:
                    back.close()
        finally:
            writer.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Pass bytes both ways until one side ends or a fault ends the connection."""
        answers: asyncio.Task[None] | None = None
        try:
            while data := await reader.read(65_536):
                if data.startswith(_HTTP_2):
                    answers = asyncio.ensure_future(self._answer_late(there, writer))
                if data.startswith(_REQUESTS):
                    fault = self._next_fault(data)
                    if answers is not None:
                        answers.cancel()
                    if fault is not None and fault.status is not None:
                        # Without `Connection: close` a client may send its next request into the closing connection.
                        told = f"HTTP/1.1 {fault.status} Sick\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        writer.write(told.encode())
                        await writer.drain()
                        return
                    answers = asyncio.ensure_future(_answer(there, writer, fault))
                back.write(data)
                await back.drain()
        finally:
            if answers is not None:
                answers.cancel()

    async def _answer_late(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the bytes of answers on, each after the delay that stands when it has come."""
        with suppress(OSError):
            while data := await there.read(65_536):
                came = self._loop.time()
                while (fault := self._standing) is not None and self._loop.time() - came < fault.delay_s:
                    await asyncio.sleep(_LOOK_S)
                writer.write(data)
                await writer.drain()
        writer.close()


async def _answer(there: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None) -> None:
    """Pass the bytes of answers on; with a fault that cuts, end the connection where it says."""
    left = None if fault is None else fault.cut_after_bytes
    with suppress(OSError):
        data = await there.read(65_536)
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
        while data:
            writer.write(data if left is None else data[:left])
            await writer.drain()
            if left is not None and (left := left - len(data)) <= 0:
                break
            data = await there.read(65_536)
    writer.close()
