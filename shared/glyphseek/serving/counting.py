"""What services count beside their calls: how blobs came, and how long the model took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from glyphseek.metrics import Metrics
from glyphseek.types import ModelCard


class Fetching(Protocol):
    """What results of rerankers and matchers tell of the blobs they needed."""

    @property
    def asked(self) -> int:
        """Return how many images were asked for."""
        ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Return how many blobs could not be used, by reason."""
        ...

    @property
    def cache_hits(self) -> int:
        """Return how many blobs had not to be read."""
        ...

    @property
    def fetched_bytes(self) -> int:
        """Return the bytes that were read."""
        ...

    @property
    def fetch_ms(self) -> float:
        """Return how long reading took."""
        ...

    @property
    def score_ms(self) -> float:
        """Return how long scoring took."""
        ...

    @property
    def coverage(self) -> float:
        """Return the share of images that could be scored."""
        ...


def note_models(metrics: Metrics, service: str, cards: Iterable[ModelCard]) -> None:
    """Say which models a service has loaded."""
    for card in cards:
        metrics.note_model(service, name=card.name, method=card.method, fingerprint=card.fingerprint)


def note_fetching(metrics: Metrics, service: str, operation: str, result: Fetching) -> None:
    """Count what one request of a second stage needed and got."""
    metrics.fetch_seconds.labels(service).observe(result.fetch_ms / 1000)
    metrics.inference_seconds.labels(service, operation).observe(result.score_ms / 1000)
    metrics.batch_items.labels(service, operation).observe(result.asked)
    metrics.fetched_bytes.labels(service).inc(result.fetched_bytes)
    metrics.cache_hits.labels(service).inc(result.cache_hits)
    metrics.cache_misses.labels(service).inc(result.asked - result.cache_hits)
    metrics.coverage_ratio.labels(service).observe(result.coverage)
    for reason, count in result.faults.items():
        metrics.blob_faults.labels(service, reason).inc(count)
