"""A process that serves an `EchoServicer` on a port: `python -m rpc.echo_process PORT [ECHO_ONLY]`.

It prints the port when it listens. Without the second argument calls of the model `wait` wait for ever.
"""

from __future__ import annotations

import asyncio
import sys

from rpc.echo import EchoServicer

from glyphseek.rpc.server import Server, ServerSettings


async def serve(port: int, *, waits: bool) -> None:
    servicer = EchoServicer()
    if not waits:
        servicer.open.set()
    server = Server(ServerSettings(port=port))
    server.add(*servicer.offer())
    print(await server.start(), flush=True)
    await server.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), waits=len(sys.argv) < 3))
