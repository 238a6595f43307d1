"""What a search answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from glyphseek.ranking import TermMatch
from glyphseek.types import FloatArray, ImageRecord

Stage = Literal["recall", "rerank", "match"]
"""Recall finds images by their vectors; match scores them exactly with boxes, rerank by their token maps. Which of the
two follows recall depends on what the model stores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One image that answers the query.

    score: probability [0, 1] that it does. names: its paths in the indexed folder. width, height: pixels of the
    displayed image. stages: which scored it, in order; after recall alone nothing is known of places, as when its blob
    could not be used. matches: what answers each word of the query. attention: on request, for each term of the query
    (as it is written in matches) the map (H, W) float32, summing to 1, of where the model saw it in the displayed
    image, which the grid covers evenly; None for images that were not reranked. record: all that the gallery knows of
    the image. Hits are compared without the last two.
    """

    image_id: str
    names: tuple[str, ...]
    width: int
    height: int
    score: float
    stages: tuple[Stage, ...]
    matches: tuple[TermMatch, ...]
    attention: Mapping[str, FloatArray] | None = field(default=None, compare=False)
    record: ImageRecord | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """A stage did not score all it was given: why, and the share [0, 1] of the images that it did score."""

    stage: Stage
    reason: str
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds spent in each stage.

    Query to vectors, vectors to images, blobs to features, token maps to scores, all of it to hits.
    """

    encode_ms: float
    recall_ms: float
    fetch_ms: float
    rerank_ms: float
    match_ms: float

    @property
    def total_ms(self) -> float:
        """Return the milliseconds of all stages."""
        return self.encode_ms + self.recall_ms + self.fetch_ms + self.rerank_ms + self.match_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to `query` (as it was understood): hits best first, equal scores by image id.

    Where images were reranked, they stand before those that were not, whose score is then at most the lowest of theirs
    and which keep the order of recall.

    confident: whether any hit reaches the model's threshold; if not, the hits are the least unlikely of the gallery.
    """

    query: str
    hits: tuple[Hit, ...]
    confident: bool
    degraded: tuple[Degradation, ...]
    timings: Timings
