"""A service as one plain process: gRPC at one port, health that is kept up to date, an end without lost calls."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from glyphseek.config import Config, load_config
from glyphseek.errors import GlyphseekError
from glyphseek.logs import set_up_logs
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.server import Server, ServerSettings
from glyphseek.serving.service import Service
from glyphseek.tracing import set_up_tracing

S = TypeVar("S")
Assemble = Callable[[Config, Metrics], Service[S]]

LOOK_S = 2.0
"""Seconds between two looks at whether a service can answer."""

_LOG = logging.getLogger(__name__)


class _Options(argparse.Namespace):
    config: Path | None
    host: str
    port: int | None


def run_process(
    name: str, assemble: Assemble[S], address_of: Callable[[Config], str], arguments: Sequence[str] | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 2 with a message for what cannot be started.

    Without `--port` the port is that of the service's own address in the configuration.
    """
    options = _parse(name, arguments)
    try:
        config = load_config(options.config)
        port = Endpoint.parse(address_of(config)).port if options.port is None else options.port
        set_up_logs(name, level=config.log_level)
        asyncio.run(_serve(name, assemble, config, ServerSettings(host=options.host, port=port)))
    except GlyphseekError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(name: str, arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog=f"python -m glyphseek_{name}", description=f"The {name} as one process.")
    parser.add_argument("--config", type=Path, help="YAML or JSON; GLYPHSEEK_... of the environment count more")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; callers on other machines are answered only if they send GLYPHSEEK_SERVICE_TOKEN",
    )
    parser.add_argument("--port", type=int, help="default: that of the service's address in the configuration")
    return parser.parse_args(arguments, namespace=_Options())


async def _serve(name: str, assemble: Assemble[S], config: Config, settings: ServerSettings) -> None:
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    metrics = Metrics()
    stop_tracing = set_up_tracing(name, otlp_endpoint=config.otlp_endpoint)
    stop_metrics = serve_metrics(metrics, host=config.metrics_host, port=config.metrics_port)
    try:
        service = await asyncio.to_thread(assemble, config, metrics)
        try:
            await serve_until(service, settings, stopping)
        finally:
            await asyncio.to_thread(service.close)
    finally:
        stop_metrics()
        stop_tracing()


async def serve_until(
    service: Service[S], settings: ServerSettings, stopping: asyncio.Event, *, look_s: float = LOOK_S
) -> None:
    """Answer calls until the event is set, then let those in flight end. Health follows the service's own check.

    Raises SettingError for an address that cannot be had.
    """
    server = Server(settings)
    service.offer(server)
    port = await server.start(is_ready=False)
    _LOG.info("listening host=%s port=%d", settings.host, port)
    watching = asyncio.create_task(_watch(service, server, look_s))
    try:
        await stopping.wait()
        _LOG.info("stopping")
    finally:
        watching.cancel()
        await server.stop()


async def _watch(service: Service[S], server: Server, look_s: float) -> None:
    told = ""
    while True:
        reason = await asyncio.to_thread(ask, service)
        if reason != told:
            _LOG.warning("readiness reason=%r", reason or "ready")
            told = reason
        await server.set_ready(not reason)
        await asyncio.sleep(look_s)


def ask(service: Service[S]) -> str:
    """Return why the service cannot answer, nothing when it can."""
    try:
        service.check()
    except GlyphseekError as error:
        return str(error)
    return ""
