"""The last stage of a job: rows, written by one process, and the counts of what became of each photo."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from glyphseek.errors import StoreUnavailable
from glyphseek.indexing import Arrival, Intaken, Skip, StoredImage
from glyphseek.metrics import Metrics
from glyphseek.ports import VectorStore
from glyphseek.types import FloatArray, ImageRecord
from glyphseek_indexer.retrying import Again

T = TypeVar("T")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one name: an image whose blob is stored, or why there is none; neither for what was known.

    again: whether a photo that is left out is tried again. read_s, encode_s: its share of the time of its batches, 0
        where it was in none.
    """

    name: str
    stored: StoredImage | None = None
    skip: Skip | None = None
    again: Again = Again.NEVER
    read_s: float = 0.0
    encode_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Counts:
    """Photos of a job so far, by what became of them; the names are those of IngestReport."""

    added: int = 0
    reused: int = 0
    unchanged: int = 0
    updated: int = 0
    refused: list[Skip] = field(default_factory=list[Skip])

    @property
    def done(self) -> int:
        """Return how many photos are done with."""
        return self.added + self.unchanged + self.updated + len(self.refused)


@dataclass(slots=True, kw_only=True)
class RowWriter:
    """Writes rows of images whose blobs are stored. For one thread; nothing waits in it when `write` returns.

    patience_s: how long to try again when the store does not answer. metrics: counts photos and seconds of each step.
    """

    vectors: VectorStore
    patience_s: float
    counts: Counts = field(default_factory=Counts)
    metrics: Metrics = field(default_factory=Metrics)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Commit what is stored and count everything. Raises what the store raises, past the patience."""
        begun_s = self.clock()
        self._write(outcomes)
        self._observe(outcomes, commit_s=(self.clock() - begun_s) / max(len(outcomes), 1))

    def refuse(self, skip: Skip) -> None:
        """Count what was left out before any worker had it."""
        self.counts.refused.append(skip)
        self.metrics.images.labels(Intaken.REFUSED).inc()

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        stored = {one.stored.record.image_id: one.stored for one in outcomes if one.stored is not None}
        known = self._insist(lambda: self.vectors.get(list(stored))) if stored else {}
        arrivals = {image_id: _begin(one.record, known.get(image_id)) for image_id, one in stored.items()}
        intaken = [self._take_in(one, arrivals) for one in outcomes]
        rows: list[ImageRecord] = []
        vectors: list[FloatArray] = []
        for image_id, arrival in arrivals.items():
            if arrival.needs_row:
                rows.append(
                    arrival.row(arrival.known if arrival.has_row and arrival.known else stored[image_id].record)
                )
                vectors.append(stored[image_id].vectors)
        if rows:
            self._insist(lambda: self.vectors.put(rows, vectors))
        for one, became in zip(outcomes, intaken, strict=True):
            self._count(one, became)

    def _take_in(self, outcome: Outcome, arrivals: dict[str, Arrival]) -> Intaken:
        if outcome.skip is not None:
            return Intaken.REFUSED
        if outcome.stored is None:
            return Intaken.UNCHANGED
        return arrivals[outcome.stored.record.image_id].join(name=outcome.name, metadata={})

    def _count(self, outcome: Outcome, became: Intaken) -> None:
        counts = self.counts
        self.metrics.images.labels(became).inc()
        match became:
            case Intaken.ADDED:
                counts.added += 1
                counts.reused += outcome.stored is not None and outcome.stored.reused
            case Intaken.UNCHANGED:
                counts.unchanged += 1
            case Intaken.UPDATED:
                counts.updated += 1
            case Intaken.REFUSED:
                counts.refused += [outcome.skip] if outcome.skip is not None else []

    def _observe(self, outcomes: Sequence[Outcome], *, commit_s: float) -> None:
        for one in outcomes:
            for step, seconds in (("read", one.read_s), ("encode", one.encode_s), ("commit", commit_s)):
                if seconds:
                    self.metrics.ingest_seconds.labels(step).observe(seconds)

    def _insist(self, call: Callable[[], T]) -> T:
        end, pause_s = self.clock() + self.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return call()
            except StoreUnavailable:
                if self.clock() + pause_s > end:
                    raise
            self.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _begin(record: ImageRecord, known: ImageRecord | None) -> Arrival:
    return Arrival(image_id=record.image_id, content_hash=record.content_hash, known=known)
