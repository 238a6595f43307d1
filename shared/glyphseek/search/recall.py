"""Rows of a vector search to candidate images. T terms, V variants of a term, I images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glyphseek.ranking import ABSENT_SIMILARITY, QueryPlan, bound_scores, forgive
from glyphseek.types import Calibration, FloatArray, RowHit

_WHOLE_IMAGE = 0  # a global vector stands in the first place


@dataclass(slots=True)
class Recall:
    """What the rows say of each image; `found[image_id][term, instance]` is the best similarity over variants."""

    plan: QueryPlan
    found: dict[str, dict[tuple[int, int], float]] = field(default_factory=dict[str, dict[tuple[int, int], float]])
    floors: list[float] = field(default_factory=list[float])

    def similarities(self, image_id: str) -> FloatArray:
        """Return (T, n) with n the places up to the last one known; what no row says is ABSENT_SIMILARITY."""
        known = self.found[image_id]
        width = 1 + max(instance for _, instance in known)
        similarities_TN = np.full((len(self.plan.terms), width), ABSENT_SIMILARITY, dtype=np.float32)
        for place, similarity in known.items():
            similarities_TN[place] = similarity
        return similarities_TN

    def best(self, count: int, calibration: Calibration) -> list[str]:
        """Return the `count` images that may score highest, best first, ties by image id.

        A word that no row gives an image may still be as similar as the last row that came back for that word. Only
        images with a row of a required word are candidates.
        """
        required = set(self.plan.required_rows)
        image_ids = sorted(one for one, known in self.found.items() if any(row in required for row, _ in known))
        if not image_ids:
            return []
        best_IT = np.tile(np.array(self.floors, dtype=np.float32), (len(image_ids), 1))
        for best_T, image_id in zip(best_IT, image_ids, strict=True):
            for (row, _), similarity in self.found[image_id].items():
                best_T[row] = max(best_T[row], similarity)
        scores_I = bound_scores(self.plan, best_IT.T, calibration)
        return [image_ids[place] for place in np.argsort(-scores_I, kind="stable")[:count]]


def gather(plan: QueryPlan, rows_by_term: Sequence[Sequence[Sequence[RowHit]]], limit: int) -> Recall:
    """Return what `rows_by_term[term][variant]`, lists of at most `limit` rows, best first, say of each image."""
    recall = Recall(plan)
    for row, (term, variants) in enumerate(zip(plan.terms, rows_by_term, strict=True)):
        floor = ABSENT_SIMILARITY
        for hits in variants:
            similarities = forgive(np.array([hit.similarity for hit in hits], dtype=np.float32), term).tolist()
            for hit, similarity in zip(hits, similarities, strict=True):
                known = recall.found.setdefault(hit.image_id, {})
                place = row, _WHOLE_IMAGE if hit.instance is None else hit.instance
                known[place] = max(known.get(place, similarity), similarity)
            floor = max(floor, similarities[-1] if len(hits) >= limit else floor)
        recall.floors.append(floor)
    return recall
