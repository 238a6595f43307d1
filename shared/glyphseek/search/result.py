"""What a search answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glyphseek.ranking import TermMatch

Stage = Literal["recall", "match"]
"""Recall finds images by their vectors, match scores them exactly with boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One image that answers the query.

    score: probability [0, 1] that it does. names: its paths in the indexed folder. width, height: pixels of the
    displayed image. stages: which scored it, in order; without "match" nothing is known of places, as when its blob
    could not be used. matches: what answers each word of the query.
    """

    image_id: str
    names: tuple[str, ...]
    width: int
    height: int
    score: float
    stages: tuple[Stage, ...]
    matches: tuple[TermMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """A stage did not score all it was given: why, and the share [0, 1] of the images that it did score."""

    stage: Stage
    reason: str
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds spent in each stage: query to vectors, vectors to images, blobs to features, features to hits."""

    encode_ms: float
    recall_ms: float
    fetch_ms: float
    match_ms: float

    @property
    def total_ms(self) -> float:
        """Return the milliseconds of all stages."""
        return self.encode_ms + self.recall_ms + self.fetch_ms + self.match_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to `query` (as it was understood): hits best first, equal scores by image id.

    confident: whether any hit reaches the model's threshold; if not, the hits are the least unlikely of the gallery.
    """

    query: str
    hits: tuple[Hit, ...]
    confident: bool
    degraded: tuple[Degradation, ...]
    timings: Timings
