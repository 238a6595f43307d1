"""Which S3 client the hot path should use: 32 parallel GETs at a time, latency and CPU of this process per GET.

`s3_clients.py http://127.0.0.1:9000 BUCKET` makes the bucket and its objects where they are missing and prints one row
for each way and size. Ways: minio-py from a pool of 32 threads, obstore awaited on one event loop, obstore from a pool
of 32 threads. They take turns, round by round, so that what else the machine does meets all of them alike.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import cast

import numpy as np
import obstore
import typer
from minio import Minio
from obstore.store import S3Store
from rich.console import Console
from rich.table import Table
from urllib3 import PoolManager

PARALLEL = 32
OBJECTS = 256
Fetch = Callable[[Sequence[str]], int]


@dataclass(slots=True)
class Measured:
    """Seconds of each round, and the CPU seconds of this process in all of them together."""

    rounds_s: list[float] = field(default_factory=list[float])
    cpu_s: float = 0.0


def main(
    endpoint: str, bucket: str, rounds: int = 150, key: str = "glyphseek", secret: str = "glyphseek-secret"
) -> None:
    """Measure all ways for blobs of 64 and of 512 KB."""
    address = endpoint.removeprefix("http://")
    pool = PoolManager(maxsize=PARALLEL, num_pools=2)
    client = Minio(address, access_key=key, secret_key=secret, secure=False, region="us-east-1", http_client=pool)
    store = S3Store(
        bucket,
        endpoint=endpoint,
        access_key_id=key,
        secret_access_key=secret,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    table = Table(
        "client", "blob", "32 GETs p50 ms", "p99 ms", "GET/s", "CPU ms/GET", title=f"{endpoint}, {rounds} rounds"
    )
    with ThreadPoolExecutor(PARALLEL) as threads, asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        ways: dict[str, Fetch] = {
            "minio-py, 32 threads": lambda names: sum(threads.map(partial(_get_minio, client, bucket), names)),
            "obstore, awaited": lambda names: runner.run(_gather(store, names)),
            "obstore, 32 threads": lambda names: sum(threads.map(partial(_get_obstore, store), names)),
        }
        for size_kb in (64, 512):
            names = _make_objects(client, bucket, size_kb)
            for way, measured in _measure(ways, names, size_kb * 1024, rounds).items():
                table.add_row(way, f"{size_kb} KB", *_row_of(measured, rounds))
    Console().print(table)


def _make_objects(client: Minio, bucket: str, size_kb: int) -> list[str]:
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    names = [f"measure/{size_kb}/{number:04}" for number in range(OBJECTS)]
    there = {one.object_name for one in client.list_objects(bucket, f"measure/{size_kb}/")}
    for name in names:
        if name not in there:
            client.put_object(bucket, name, BytesIO(os.urandom(size_kb * 1024)), size_kb * 1024)
    return names


def _measure(ways: dict[str, Fetch], names: Sequence[str], size: int, rounds: int) -> dict[str, Measured]:
    rng = np.random.default_rng(0)
    measured = {way: Measured() for way in ways}
    for number in range(rounds + 5):
        chosen = [names[int(place)] for place in rng.permutation(len(names))[:PARALLEL]]
        for way, fetch in ways.items():
            started, cpu = time.perf_counter(), time.process_time()
            if fetch(chosen) != PARALLEL * size:
                raise SystemExit(f"{way} did not read {PARALLEL} blobs of {size} bytes")
            if number >= 5:  # the first rounds open connections
                measured[way].rounds_s.append(time.perf_counter() - started)
                measured[way].cpu_s += time.process_time() - cpu
    return measured


def _row_of(measured: Measured, rounds: int) -> tuple[str, str, str, str]:
    p50, p99 = np.percentile(measured.rounds_s, [50, 99]) * 1000
    rate = PARALLEL * rounds / sum(measured.rounds_s)
    return f"{p50:.1f}", f"{p99:.1f}", f"{rate:,.0f}", f"{1000 * measured.cpu_s / (PARALLEL * rounds):.2f}"


def _get_minio(client: Minio, bucket: str, name: str) -> int:
    response = client.get_object(bucket, name)
    try:
        return len(response.read())
    finally:
        response.close()
        response.release_conn()


def _get_obstore(store: S3Store, name: str) -> int:
    return len(bytes(obstore.get(store, name).bytes()))


async def _gather(store: S3Store, names: Sequence[str]) -> int:
    async def read(name: str) -> int:
        found = await obstore.get_async(store, name)
        return len(bytes(cast(bytes, await found.bytes_async())))

    return sum(await asyncio.gather(*map(read, names)))


if __name__ == "__main__":
    typer.run(main)
