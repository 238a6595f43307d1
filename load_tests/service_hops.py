"""What one call between services costs: plain grpc.aio, and Ray Serve's gRPC ingress in three settings, side by side.

    python load_tests/service_hops.py [--seconds 5]

The message is that of a real Rerank: 3 terms of 8 variants and 512 dimensions with tokens, 32 image ids, and scores
back. Each server is a process of its own, the client is one process with sync stubs in threads, as services call each
other. Prints a table: median and 99th percentile of one caller, and calls a second of sixteen.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from glyphseek.api.v1 import reranker_service_pb2, reranker_service_pb2_grpc
from glyphseek.errors import ServiceError
from glyphseek.reranking import Reranking
from glyphseek.rpc import codec
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.remote import RemoteReranker
from glyphseek.rpc.server import Server, ServerSettings
from glyphseek.serving.cluster import TUNING
from glyphseek.types import MapScores, TermFeatures

TERMS, VARIANTS, WIDTH, IMAGES = 3, 8, 512, 32
CALLERS = 16
HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1"}
TRANSPORTS: Mapping[str, Mapping[str, str]] = {
    "plain grpc.aio": {},
    "Serve, defaults": {"RAY_USAGE_STATS_ENABLED": "0"},
    "Serve, tuned": TUNING,
    "Serve, tuned, HAProxy": {**TUNING, **HAPROXY},
}
IMAGE_IDS = [f"{place:032x}" for place in range(IMAGES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Milliseconds of one caller, calls a second of many."""

    p50_ms: float
    p99_ms: float
    calls_per_s: float


def make_terms() -> list[TermFeatures]:
    """Return query terms as CAYN has them."""
    rng = np.random.default_rng(0)
    return [
        TermFeatures(
            vectors_VD=rng.standard_normal((VARIANTS, WIDTH)).astype(np.float32),
            tokens_TE=rng.standard_normal((10, WIDTH)).astype(np.float32),
        )
        for _ in range(TERMS)
    ]


def make_answer() -> reranker_service_pb2.RerankResponse:
    """Return the scores of all images."""
    scores_TK = np.linspace(0, 1, TERMS * IMAGES, dtype=np.float32).reshape(TERMS, IMAGES)
    return codec.encode_reranking(
        Reranking(
            image_ids=tuple(IMAGE_IDS),
            cosines_TK=scores_TK,
            scores=MapScores(probabilities_TK=scores_TK),
            asked=IMAGES,
            faults={},
            cache_hits=IMAGES,
            fetched_bytes=0,
            fetch_ms=1.0,
            score_ms=1.0,
        )
    )


def serve_plain(port: int) -> None:
    """Answer on the port until killed."""
    from hop_replica import HopServicer

    async def run() -> None:
        server = Server(ServerSettings(port=port))
        servicer = HopServicer(make_answer().SerializeToString())
        server.add(
            reranker_service_pb2.DESCRIPTOR.services_by_name["RerankerService"],
            servicer,
            reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server,
        )
        await server.start()
        await server.wait()

    asyncio.run(run())


def serve_ray(port: int, http_port: int) -> None:
    """Answer on the port through Ray Serve until standard input ends."""
    import ray
    from hop_replica import build
    from ray import serve

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    functions = ["glyphseek.api.v1.reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server"]
    serve.start(
        http_options={"host": "127.0.0.1", "port": http_port},
        grpc_options={"port": port, "grpc_servicer_functions": functions},
    )
    serve.run(
        build(make_answer().SerializeToString()), name="hops", route_prefix="/hops"
    )  # without one its gRPC is not found
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


@contextmanager
def server_running(transport: str) -> Generator[Endpoint]:
    """Start a server in its own process and yield where it answers; stop it afterwards."""
    port, http_port = _find_port(), _find_port()
    kind = "plain" if transport == "plain grpc.aio" else "ray"
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", kind, str(port), str(http_port)],
        env={**os.environ, **TRANSPORTS[transport]},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = Endpoint(host="127.0.0.1", port=port, application="" if kind == "plain" else "hops")
        _wait(endpoint, process)
        yield endpoint
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if kind == "plain":
            process.kill()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def measure(endpoint: Endpoint, seconds: float) -> Measured:
    """Call for so long from one thread, then from many."""
    terms = make_terms()
    with Client(endpoint, service="hops") as client:
        remote = RemoteReranker(client, fingerprint="f" * 32, timeout_s=30.0)

        def call(until_s: float, times_s: list[float]) -> None:
            while (started := time.perf_counter()) < until_s:
                remote.rerank(terms, IMAGE_IDS)
                times_s.append(time.perf_counter() - started)

        call(time.perf_counter() + 1, [])
        alone: list[float] = []
        call(time.perf_counter() + seconds, alone)
        together: list[float] = []
        until = time.perf_counter() + seconds
        threads = [threading.Thread(target=call, args=(until, together)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    p50, p99 = np.percentile(alone, (50, 99))
    return Measured(p50_ms=1000 * p50, p99_ms=1000 * p99, calls_per_s=len(together) / seconds)


def main() -> None:
    """Print the table, or be one of the servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--transports", nargs="*", choices=TRANSPORTS, help="default: all")
    parser.add_argument("--serve", nargs=3, metavar=("KIND", "PORT", "HTTP_PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, port, http_port = options.serve
        serve_plain(int(port)) if kind == "plain" else serve_ray(int(port), int(http_port))
        return
    request = codec.encode_rerank_request("f" * 32, make_terms(), IMAGE_IDS, with_attention=False)
    print(f"request {request.ByteSize()} bytes, answer {make_answer().ByteSize()} bytes, load {os.getloadavg()[0]:.1f}")
    print(f"{'transport':24}{'p50 ms':>9}{'p99 ms':>9}{f'calls/s c={CALLERS}':>15}")
    for transport in options.transports or TRANSPORTS:
        with server_running(transport) as endpoint:
            found = measure(endpoint, options.seconds)
        print(f"{transport:24}{found.p50_ms:9.2f}{found.p99_ms:9.2f}{found.calls_per_s:15.0f}", flush=True)


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait(endpoint: Endpoint, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 150
    while time.monotonic() < end and process.poll() is None:
        with Client(endpoint, service="hops") as client:
            try:
                RemoteReranker(client, fingerprint="f" * 32, timeout_s=5.0).rerank(make_terms(), IMAGE_IDS)
            except ServiceError:
                time.sleep(1)
            else:
                return
    raise SystemExit(f"{endpoint} does not answer; exit code {process.poll()}")


if __name__ == "__main__":
    main()
