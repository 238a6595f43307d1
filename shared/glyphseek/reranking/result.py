"""What a reranker answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glyphseek.types import FloatArray, MapScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranking:
    """Scores of T terms and the K images whose token map could be used.

    image_ids: those K, in the order they were asked in. cosines_TK: largest inner product of a term's variants with the
    image's stored global vector. scores: probabilities and attention, columns in the order of `image_ids`. asked: how
    many different images the request named. faults: the others, counted by what was wrong with their blob.
    cache_hits: images whose blob had not to be read. fetched_bytes: of the blobs that were read. fetch_ms and score_ms:
    milliseconds until all maps were open, and from there to the scores.
    """

    image_ids: tuple[str, ...]
    cosines_TK: FloatArray
    scores: MapScores
    asked: int
    faults: Mapping[str, int]
    fetch_ms: float
    score_ms: float
    cache_hits: int = 0
    fetched_bytes: int = 0

    @property
    def coverage(self) -> float:
        """Return the share [0, 1] of the asked images that were scored; 1 when none was asked for."""
        return len(self.image_ids) / self.asked if self.asked else 1.0
