"""A service inside a replica of Ray Serve: what a plain process does around it, and no more. It does not name Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from grpc_health.v1 import health_pb2

from glyphseek.config import Config, load_config
from glyphseek.errors import SettingError
from glyphseek.logs import set_up_logs
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.serving.process import ask
from glyphseek.serving.service import Service, close_all
from glyphseek.serving.working import WorkSettings
from glyphseek.tracing import set_up_tracing

S = TypeVar("S")

Arguments = Mapping[str, str | int | float]
"""The `args` of an application in Serve's configuration."""

_COMMON = frozenset({"config", "at_once", "waiting"})


class Replica(Generic[S]):
    """One process of a service, from its configuration to its end."""

    def __init__(self, name: str, assemble: Callable[[Config, Metrics], Service[S]], arguments: Arguments) -> None:
        """`config` among the arguments names a file; the environment of the process counts more."""
        file = str(arguments.get("config", ""))
        config = load_config(Path(file) if file else None)
        set_up_logs(name, level=config.log_level)
        metrics = Metrics()
        self.service = assemble(config, metrics)
        self._stops = [
            set_up_tracing(name, otlp_endpoint=config.otlp_endpoint),
            serve_metrics(metrics, host=config.metrics_host, port=config.metrics_port),
            self.service.close,
        ]

    async def check(self) -> health_pb2.HealthCheckResponse:
        """Return whether calls can be answered."""
        reason = await asyncio.to_thread(ask, self.service)
        kinds = health_pb2.HealthCheckResponse
        return kinds(status=kinds.NOT_SERVING if reason else kinds.SERVING)

    def close(self) -> None:
        """Release everything."""
        stops, self._stops = self._stops, []
        close_all(stops)


def check_names(arguments: Arguments, more: frozenset[str]) -> None:
    """Raise SettingError for arguments that are neither common to all services nor among `more`."""
    if unknown := sorted(arguments.keys() - _COMMON - more):
        known = ", ".join(sorted(_COMMON | more))
        raise SettingError(f"unknown arguments of the application: {', '.join(unknown)}; known are: {known}")


def read_work(arguments: Arguments, default: WorkSettings | None = None) -> WorkSettings:
    """Return how much a replica takes on. Raises SettingError."""
    default = default or WorkSettings()
    return WorkSettings(
        at_once=int(arguments.get("at_once", default.at_once)), waiting=int(arguments.get("waiting", default.waiting))
    )
