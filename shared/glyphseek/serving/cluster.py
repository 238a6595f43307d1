"""`python -m glyphseek.serving.cluster FILE`: a Ray of one machine with the applications of a file of Serve.

This process is the cluster: it starts Ray, deploys, waits for SIGTERM or SIGINT, and takes everything down again. What
tunes Ray Serve is read by Ray when it is imported, and stands in the environment (see `TUNING`).
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from glyphseek.config import load_config
from glyphseek.errors import GlyphseekError, SettingError
from glyphseek.logs import set_up_logs
from glyphseek.rpc.server import ServerSettings

MAX_MESSAGE_BYTES = ServerSettings().max_message_bytes
"""Of one gRPC request or answer, behind Ray Serve as between plain processes."""

_WRAPPING_BYTES = 2**20  # metadata and what Serve packs around a message on its way from the proxy to a replica

TUNING = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(MAX_MESSAGE_BYTES),
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MAX_MESSAGE_BYTES + _WRAPPING_BYTES),
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What bounds messages, and makes a call through Serve's gRPC proxy several times faster; the latter was measured in
load_tests/service_hops.py.

Serve's own bounds are 2 GiB at the proxy, and 4 MiB, less than many a photo has, between proxy and replica. Servicers
may run in the replica's own loop, as all their blocking work is in threads."""


class _Options(argparse.Namespace):
    applications: Path
    host: str
    http_port: int
    grpc_port: int
    cpus: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; return 0, or 2 with a message for what cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m glyphseek.serving.cluster", description=__doc__)
    parser.add_argument("applications", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--cpus", type=float, default=2, help="that replicas share")
    options = parser.parse_args(arguments, namespace=_Options())
    stopping = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda _signal, _frame: stopping.set())
    try:
        set_up_logs("cluster", level=load_config().log_level)
        _run(read_applications(options.applications), options, stopping)
    except GlyphseekError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def read_applications(file: Path) -> dict[str, Any]:
    """Return the file's configuration of Serve. Raises SettingError when it cannot be read."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingError(f"the applications {file} cannot be read: {error}") from error
    if not isinstance(found, dict) or not isinstance(cast("dict[str, object]", found).get("applications"), list):
        raise SettingError(f"the applications {file} must be in Ray Serve's format, with `applications`")
    return cast("dict[str, Any]", found)


def _run(wanted: dict[str, Any], options: _Options, stopping: threading.Event) -> None:
    import ray
    from ray import serve
    from ray.serve._private.api import serve_start  # what `serve run FILE` does; there is no public way
    from ray.serve.schema import ServeDeploySchema

    http = {**wanted.get("http_options", {}), "host": options.host, "port": options.http_port}
    grpc = {**wanted.get("grpc_options", {}), "port": options.grpc_port}
    ray.init(
        address="local",
        namespace="serve",
        num_cpus=cast(int, options.cpus),
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        client = serve_start(http_options=http, grpc_options=grpc, proxy_location=wanted.get("proxy_location"))
        client.deploy_apps(ServeDeploySchema.model_validate({**wanted, "http_options": http, "grpc_options": grpc}))
        stopping.wait()
        serve.shutdown()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
