"""Which processes a deployment on one machine is made of: with Ray Serve, or plain."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from glyphseek.config import Config, environment_with
from glyphseek.errors import SettingError
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.serving.cluster import TUNING
from glyphseek.serving.supervising import Command

LOOPBACK = "127.0.0.1"
_ANYWHERE = ("", "0.0.0.0", "::")  # addresses that loopback is among
PLAIN = ("encoder", "reranker", "matcher", "gateway")
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The processes to start, and where the deployment answers once they are ready."""

    commands: tuple[Command, ...]
    http: str
    grpc: str
    metrics: str


def check_ports(config: Config, *, is_plain: bool) -> None:
    """Raise SettingError, which names the port and what wants it, for one that is taken."""
    wanted = {"http_port": config.http_port, "grpc_port": config.grpc_port, "metrics_port": config.metrics_port}
    if is_plain:
        wanted |= {name: Endpoint.parse(getattr(config, name)).port for name in PLAIN[:3]}
    for name, port in wanted.items():
        if port == 0:
            if name != "metrics_port":
                raise SettingError(f"{name} is 0; the services must know each other's ports")
            continue
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError as error:
            raise SettingError(f"port {port} ({name}) cannot be had: {error.strerror}") from error


def plan_plain(config: Config, *, counts: Path) -> Launch:
    """Return one process for each service. `counts` is the folder in which they count together."""
    shared = environment_with({**config.as_environment(), METRICS_FOLDER: str(counts)})
    commands = [
        Command(name=name, arguments=(sys.executable, "-m", f"glyphseek_{name}"), environment=shared) for name in PLAIN
    ]
    return _launch(config, commands, grpc_application="")


def plan_cluster(config: Config, *, counts: Path, applications: Path, cpus: float) -> Launch:
    """Return the one process that is a Ray with all services as applications, behind one gRPC proxy."""
    address = f"{LOOPBACK}:{config.grpc_port}"
    config = replace(config, encoder=f"{address}/encoder", reranker=f"{address}/reranker", matcher=f"{address}/matcher")
    host = config.host if config.api_keys_file else LOOPBACK
    command = Command(
        name="cluster",
        arguments=(
            *(sys.executable, "-m", "glyphseek.serving.cluster", str(applications.resolve())),
            *("--host", host, "--http-port", str(config.http_port), "--grpc-port", str(config.grpc_port)),
            *("--cpus", f"{cpus:g}"),
        ),
        environment=environment_with({**TUNING, **config.as_environment(), METRICS_FOLDER: str(counts)}),
    )
    return _launch(config, [command], grpc_application="gateway")


def find_applications() -> Path:
    """Return the file of Serve that comes with the package, or with the checkout. Raises SettingError."""
    here = Path(__file__)
    for folder in (here.parent / "applications", here.parents[3] / "deploy" / "serve"):
        if (file := folder / "applications.yaml").is_file():
            return file
    raise SettingError("no applications.yaml comes with this installation; name one with --applications")


def _launch(config: Config, commands: list[Command], *, grpc_application: str) -> Launch:
    host = config.host if config.api_keys_file else LOOPBACK
    return Launch(
        commands=tuple(commands),
        http=f"http://{host}:{config.http_port}",
        grpc=f"{host}:{config.grpc_port}" + (f"/{grpc_application}" if grpc_application else ""),
        metrics=_address_of_metrics(config),
    )


def _address_of_metrics(config: Config) -> str:
    host = LOOPBACK if config.metrics_host in _ANYWHERE else config.metrics_host
    return f"http://{host}:{config.metrics_port}/metrics" if config.metrics_port else ""
