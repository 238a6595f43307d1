"""`glyphseek serve`: all services on this machine, with one command."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from glyphseek.cli.console import err, needing_extra, out
from glyphseek.config import Config, load_config
from glyphseek.errors import ServiceUnavailable

if TYPE_CHECKING:
    from glyphseek.serving.launching import Launch
    from glyphseek.serving.supervising import Supervisor

_LOOK_S = 0.5


def serve(
    config: Annotated[
        Path | None, typer.Option(help="YAML or JSON; GLYPHSEEK_... of the environment count more.", dir_okay=False)
    ] = None,
    plain: Annotated[bool, typer.Option(help="One plain process for each service, without Ray.")] = False,
    applications: Annotated[
        Path | None, typer.Option(help="Another file in Ray Serve's format.", dir_okay=False)
    ] = None,
    cpus: Annotated[float, typer.Option(help="Cores that replicas of Ray share.", min=0.1)] = float(
        os.cpu_count() or 2
    ),
    make_bucket: Annotated[bool, typer.Option(help="Make the S3 bucket if it is not there.")] = False,
    logs: Annotated[Path | None, typer.Option(help="Folder for the logs; a new one in /tmp by default.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds until everything must be ready.", min=1)] = 240.0,
) -> None:
    """Start encoder, reranker, matcher and gateway over a Milvus server and an S3 store, until Ctrl-C.

    Ends with 2 when the configuration is wrong, a port is taken, or Milvus or S3 cannot be reached.
    """
    settings = load_config(config)
    for name in settings.ignored:
        err.print(f"warning: {name} is no setting of glyphseek", markup=False)
    with needing_extra("serve"):
        from glyphseek.serving.launching import check_ports, find_applications, plan_cluster, plan_plain
        from glyphseek.serving.supervising import Supervisor
    check_ports(settings, is_plain=plain)
    _check_stores(settings, make_bucket=make_bucket)
    with tempfile.TemporaryDirectory(prefix="glyphseek-counts-") as counts, _stop_asked() as stopping:
        if plain:
            launch = plan_plain(settings, counts=Path(counts))
        else:
            file = applications or find_applications()
            launch = plan_cluster(settings, counts=Path(counts), applications=file, cpus=cpus)
        folder = logs or Path(tempfile.mkdtemp(prefix="glyphseek-logs-"))
        with Supervisor(launch.commands, logs=folder) as supervisor:
            if _wait_ready(launch, supervisor, stopping, patience_s=patience):
                _print_addresses(launch, folder)
                while not stopping.wait(_LOOK_S):
                    supervisor.look()
            out.print("stopping")
        out.print("stopped")


def _check_stores(config: Config, *, make_bucket: bool) -> None:
    """Raise StoreUnavailable, which names the store, when Milvus or S3 does not answer."""
    from glyphseek.deployment import milvus_settings, open_features, s3_settings
    from glyphseek.vectors.milvus_generations import MilvusGenerations

    with err.status("looking for Milvus and S3"):
        with MilvusGenerations(milvus_settings(config)) as generations:
            generations.list()
        if make_bucket:
            from glyphseek.features.s3.buckets import make_bucket as make

            make(s3_settings(config))
        open_features(config).close()


def _wait_ready(launch: Launch, supervisor: Supervisor, stopping: threading.Event, *, patience_s: float) -> bool:
    """Return whether everything is ready, showing what is waited for; False when asked to stop meanwhile.

    Raises ServiceUnavailable after `patience_s`, SettingError when a process ends.
    """
    end = time.monotonic() + patience_s
    reason = "starting"
    with err.status(reason) as shown:
        while not stopping.wait(_LOOK_S):
            supervisor.look(is_starting=True)
            if not (reason := _why_not_ready(launch.http)):
                return True
            shown.update(f"starting, {patience_s - (end - time.monotonic()):.0f} s: {reason}")
            if time.monotonic() >= end:
                raise ServiceUnavailable(f"not ready after {patience_s:g} s: {reason}")
    return False


def _why_not_ready(http: str) -> str:
    """Return what is missing, nothing when everything that is asked for, essential or not, is there."""
    try:
        with urllib.request.urlopen(f"{http}/readyz", timeout=5) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return "the gateway does not answer yet"
    try:
        parts = cast("list[dict[str, object]]", json.loads(body)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return "the gateway is starting"
    return ", ".join(str(part["name"]) for part in parts if not part["is_ready"])


def _print_addresses(launch: Launch, logs: Path) -> None:
    out.print(f"HTTP     {launch.http}  (/openapi.json describes it)", markup=False)
    out.print(f"gRPC     {launch.grpc}", markup=False)
    if launch.metrics:
        out.print(f"metrics  {launch.metrics}", markup=False)
    out.print(f"logs     {logs}", markup=False)
    out.print("ready; Ctrl-C stops everything")


@contextmanager
def _stop_asked() -> Generator[threading.Event]:
    """Yield what is set by SIGINT and SIGTERM inside the block."""
    stopping = threading.Event()
    before = {
        one: signal.signal(one, lambda _signal, _frame: stopping.set()) for one in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopping
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
