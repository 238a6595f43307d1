"""`python -m glyphseek_gateway`: the gateway as one plain process; `--new-key` and `--openapi` only print something."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from glyphseek.config import Config, load_config
from glyphseek.errors import GlyphseekError
from glyphseek.logs import set_up_logs
from glyphseek.metrics import Metrics, serve_metrics
from glyphseek.tracing import set_up_tracing
from glyphseek_gateway.assembling import assemble
from glyphseek_gateway.gateway import SERVICE
from glyphseek_gateway.keys import make_key, read_scopes
from glyphseek_gateway.listening import Doors, choose_host, listening

_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, or print a new key; return 0, or 2 with a message for what cannot be done."""
    options = _parse(arguments)
    try:
        if options.new_key is not None:
            _print_key(options.new_key, options.scopes)
        elif options.openapi:
            print(write_openapi(), end="")
        else:
            config = load_config(options.config)
            set_up_logs(SERVICE, level=config.log_level)
            asyncio.run(_serve(config))
    except GlyphseekError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


class _Options(argparse.Namespace):
    config: Path | None
    new_key: str | None
    scopes: str
    openapi: bool


def _parse(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m glyphseek_gateway", description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML or JSON; GLYPHSEEK_... of the environment count more")
    parser.add_argument("--new-key", metavar="NAME", help="print a new key, and its entry for the file of keys")
    parser.add_argument("--scopes", default="read", help="of the new key: some of read,write,admin")
    parser.add_argument("--openapi", action="store_true", help="print the description of the HTTP interface")
    return parser.parse_args(arguments, namespace=_Options())


def _print_key(name: str, scopes: str) -> None:
    secret, entry = make_key(name, read_scopes(scopes))
    print(f"key, shown only now: {secret}")
    print(f"entry for the file:  {json.dumps(entry)}")


def write_openapi() -> str:
    """Return the description of the HTTP interface, as docs/api/openapi.json holds it."""
    gateway = assemble(Config(), Metrics())
    try:
        return json.dumps(gateway.http.openapi(), indent=1, ensure_ascii=False) + "\n"
    finally:
        gateway.close()


async def _serve(config: Config) -> None:
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    metrics = Metrics()
    gateway = assemble(config, metrics)
    stop_tracing = set_up_tracing(SERVICE, otlp_endpoint=config.otlp_endpoint)
    stop_metrics = serve_metrics(metrics, host=config.metrics_host, port=config.metrics_port)
    host = choose_host(config.host, has_keys=bool(config.api_keys_file))
    try:
        async with listening(gateway, Doors(host=host, http_port=config.http_port, grpc_port=config.grpc_port)) as at:
            _LOG.info("listening host=%s http_port=%d grpc_port=%d", at.host, at.http_port, at.grpc_port)
            await stopping.wait()
            _LOG.info("stopping")
    finally:
        gateway.close()
        stop_metrics()
        stop_tracing()


if __name__ == "__main__":
    sys.exit(main())
