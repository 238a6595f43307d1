"""A service as one plain process: configuration, logs, metrics, traces, a gRPC server, and an end at SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from glyphseek.config import Config, load_config
from glyphseek.errors import GlyphseekError
from glyphseek.logs import set_up_logs
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.server import Server, ServerSettings
from glyphseek.tracing import set_up_tracing

_LOG = logging.getLogger(__name__)
_LOOK_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One gRPC service, put together.

    add: the generated `add_..._to_server`. check: raises GlyphseekError while what the service needs does not answer;
    it may block. close: releases everything, after the last call.
    """

    name: str
    descriptor: ServiceDescriptor
    servicer: Any
    add: Callable[[Any, Any], None]
    check: Callable[[], None]
    close: Callable[[], None]


def run_process(
    name: str,
    address_of: Callable[[Config], str],
    build: Callable[[Config, Metrics], Service],
    arguments: Sequence[str] | None,
) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 2 with a message for what cannot be done.

    `address_of` tells from the configuration where to listen, unless the command line does.
    """
    parser = argparse.ArgumentParser(prog=f"python -m glyphseek_{name}", description=f"The {name} as a plain process.")
    parser.add_argument("--config", type=Path, help="YAML or JSON; GLYPHSEEK_... of the environment count more")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen; the address that callers are told")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        set_up_logs(name, level=config.log_level)
        at = Endpoint.parse(options.listen or address_of(config))
        asyncio.run(_serve(config, at, build))
    except GlyphseekError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(config: Config, at: Endpoint, build: Callable[[Config, Metrics], Service]) -> None:
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    metrics = Metrics()
    service = build(config, metrics)
    stop_tracing = set_up_tracing(service.name, otlp_endpoint=config.otlp_endpoint)
    stop_metrics = serve_metrics(metrics, port=config.metrics_port)
    server = Server(ServerSettings(host=at.host, port=at.port))
    try:
        server.add(service.descriptor, service.servicer, service.add)
        port = await server.start(is_ready=False)
        _LOG.info("listening host=%s port=%d", at.host, port)
        watching = asyncio.create_task(_watch(service, server))
        await stopping.wait()
        _LOG.info("stopping")
        watching.cancel()
        await server.stop()
    finally:
        service.close()
        stop_metrics()
        stop_tracing()


async def _watch(service: Service, server: Server) -> None:
    """Keep what gRPC health says up to date."""
    was_ready = None
    while True:
        try:
            await asyncio.to_thread(service.check)
            reason = ""
        except GlyphseekError as error:
            reason = str(error)
        await server.set_ready(not reason)
        if was_ready is not (not reason):
            was_ready = not reason
            _LOG.info("ready=%s reason=%r", was_ready, reason)
        await asyncio.sleep(_LOOK_S)
