"""Candidate images with the similarities that they are scored by. T terms, N instances of one image."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.search.recall import Recall
from glyphseek.search.result import Stage
from glyphseek.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One image to score, by what recall or its token map says of it. Without boxes_N4 nothing is known of places.

    Of a reranked image, the instances are regions of attention; told_TN is what matches say of them, and attention has
    the map (H, W) of each term.
    """

    image_id: str
    similarities_TN: FloatArray
    boxes_N4: FloatArray | None
    stages: tuple[Stage, ...]
    told_TN: FloatArray | None = None
    attention: tuple[FloatArray, ...] | None = None

    @property
    def best_T(self) -> FloatArray:
        """Return the largest similarity of each term."""
        return self.similarities_TN.max(axis=1, initial=-1.0)


def candidate_of_recall(recall: Recall, image_id: str) -> Candidate:
    """Return an image with what its rows say of it."""
    return Candidate(
        image_id=image_id, similarities_TN=recall.similarities(image_id), boxes_N4=None, stages=("recall",)
    )
