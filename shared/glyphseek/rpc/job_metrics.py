"""What a service tells of each request that it does: waiting, fetching, scoring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from glyphseek.matching import Matching
from glyphseek.metrics import Metrics
from glyphseek.reranking import Reranking

T = TypeVar("T")


def noting_wait(metrics: Metrics, service: str, work: Callable[[], T]) -> Callable[[], T]:
    """Return the work, which when it begins counts how long it waited from now on."""
    asked = time.perf_counter()

    def begin() -> T:
        metrics.queue_seconds.labels(service).observe(time.perf_counter() - asked)
        return work()

    return begin


def note_fetching(metrics: Metrics, service: str, done: Reranking | Matching, *, operation: str) -> None:
    """Count the blobs of one request: hits, misses, bytes, faults, coverage, and where its time went."""
    metrics.cache_hits.labels(service).inc(done.cache_hits)
    metrics.cache_misses.labels(service).inc(done.asked - done.cache_hits)
    metrics.fetched_bytes.labels(service).inc(done.fetched_bytes)
    metrics.fetch_seconds.labels(service).observe(done.fetch_ms / 1000)
    metrics.batch_items.labels(service, operation).observe(done.asked)
    metrics.inference_seconds.labels(service, operation).observe(done.score_ms / 1000)
    if done.asked:
        metrics.coverage_ratio.labels(service).observe(done.coverage)
    for fault, count in done.faults.items():
        # What a store says names keys and addresses: as a label it is one kind of fault.
        metrics.blob_faults.labels(service, "not read" if fault.startswith("not read") else fault).inc(count)
