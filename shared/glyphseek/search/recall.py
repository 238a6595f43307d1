"""Rows of a vector search to candidate images. T terms, V variants of a term, I images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glyphseek.ranking import ABSENT_SIMILARITY, QueryPlan, bound_scores, forgive
from glyphseek.types import Calibration, FloatArray, RowHit

CODEC_SLACK = 0.004
"""How far a similarity from a blob may lie above that of its row. Measured on vectors of width 128 to 1920, even and
heavy-tailed: at most 0.00003 for fp16 and 0.0036 for int8 blobs."""


class Recall:
    """What rows say of each image: the best similarity over variants of each term and instance.

    A global vector may carry every word at once, so each term has a place of its own in it.
    """

    def __init__(self, plan: QueryPlan) -> None:
        self._plan = plan
        self._found: dict[str, dict[tuple[int, int], float]] = {}
        self._floors = [ABSENT_SIMILARITY] * len(plan.terms)

    def add(self, row: int, variants: Sequence[Sequence[RowHit]], limit: int) -> None:
        """Take in the rows of one term: a list for each variant, at most `limit` long, best first."""
        for hits in variants:
            values = np.array([hit.similarity for hit in hits], dtype=np.float32)
            similarities: list[float] = forgive(values, self._plan.terms[row]).tolist()
            for hit, similarity in zip(hits, similarities, strict=True):
                known = self._found.setdefault(hit.image_id, {})
                place = row, row if hit.instance is None else hit.instance
                known[place] = max(known.get(place, similarity), similarity)
            if len(hits) >= limit:
                self._floors[row] = max(self._floors[row], similarities[-1])

    def similarities(self, image_id: str) -> FloatArray:
        """Return (T, n) with n the places up to the last one known; what no row says is ABSENT_SIMILARITY.

        Of an image without any row, that is one place.
        """
        known = self._found.get(image_id, {})
        width = 1 + max((instance for _, instance in known), default=0)
        similarities_TN = np.full((len(self._plan.terms), width), ABSENT_SIMILARITY, dtype=np.float32)
        for place, similarity in known.items():
            similarities_TN[place] = similarity
        return similarities_TN

    def bound_images(self, calibration: Calibration) -> list[tuple[str, float]]:
        """Return every image with the score that it cannot pass, highest first, ties by image id.

        A word that no row gives an image may still be as similar as the last row that came back for that word.
        """
        image_ids = sorted(self._found)
        best_IT = np.tile(np.array(self._floors, dtype=np.float32), (len(image_ids), 1))
        for best_T, image_id in zip(best_IT, image_ids, strict=True):
            for (row, _), similarity in self._found[image_id].items():
                best_T[row] = max(best_T[row], similarity)
        bounds_I = bound_scores(self._plan, best_IT.T + np.float32(CODEC_SLACK), calibration)
        return [(image_ids[place], float(bounds_I[place])) for place in np.argsort(-bounds_I, kind="stable")]
