"""Rows of a vector search to candidate images. T terms, V variants of a term, I images, H hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.ranking import ABSENT_SIMILARITY, QueryPlan, bound_scores, forgive
from glyphseek.types import Calibration, FloatArray, RowHits

CODEC_SLACK = 0.004
"""How far a similarity from a blob may lie above that of its row. Measured on vectors of width 128 to 1920, even and
heavy-tailed: at most 0.00003 for fp16 and 0.0036 for int8 blobs."""


class Recall:
    """What rows say of each image: the best similarity over variants of each term and instance.

    A global vector may carry every word at once, so each term has a place of its own in it.
    """

    def __init__(self, plan: QueryPlan) -> None:
        self._plan = plan
        self._numbers: dict[str, int] = {}  # of images, in the order they came
        self._taken: list[_Taken] = []
        self._floors = [ABSENT_SIMILARITY] * len(plan.terms)
        self._by_image: tuple[_Taken, NDArray[np.intp]] | None = None

    def add(self, row: int, variants: Sequence[RowHits], limit: int) -> None:
        """Take in the rows of one term: those of each variant, at most `limit`, best first."""
        self._by_image = None
        number = self._numbers.setdefault
        for hits in filter(len, variants):
            similarities_H = forgive(hits.similarities_H, self._plan.terms[row])
            rows_H = np.full(len(hits), row)
            self._taken.append(
                _Taken(
                    images_H=np.array([number(one, len(self._numbers)) for one in hits.image_ids]),
                    rows_H=rows_H,
                    places_H=rows_H if hits.instances_H is None else hits.instances_H,
                    similarities_H=similarities_H,
                )
            )
            if len(hits) >= limit:
                self._floors[row] = max(self._floors[row], float(similarities_H[-1]))

    def similarities(self, image_id: str) -> FloatArray:
        """Return (T, n) with n the places up to the last one known; what no row says is ABSENT_SIMILARITY.

        Of an image without any row, that is one place.
        """
        known = self._known_of(image_id)
        width = 1 + int(known.places_H.max(initial=0))
        similarities_TN = np.full((len(self._plan.terms), width), -np.inf, dtype=np.float32)
        np.maximum.at(similarities_TN, (known.rows_H, known.places_H), known.similarities_H)
        return np.where(np.isneginf(similarities_TN), np.float32(ABSENT_SIMILARITY), similarities_TN)

    def bound_images(self, calibration: Calibration) -> list[tuple[str, float]]:
        """Return every image with the score that it cannot pass, highest first, ties by image id.

        A word that no row gives an image may still be as similar as the last row that came back for that word.
        """
        image_ids = list(self._numbers)
        best_TI = np.repeat(np.array(self._floors, dtype=np.float32)[:, None], len(image_ids), axis=1)
        for taken in self._taken:
            np.maximum.at(best_TI, (taken.rows_H, taken.images_H), taken.similarities_H)
        by_id = np.array(sorted(range(len(image_ids)), key=image_ids.__getitem__), dtype=np.intp)
        bounds_I = bound_scores(self._plan, best_TI[:, by_id] + np.float32(CODEC_SLACK), calibration)
        best_first = np.argsort(-bounds_I, kind="stable")
        ordered, bounds = by_id[best_first].tolist(), bounds_I[best_first].tolist()
        return [(image_ids[number], bound) for number, bound in zip(ordered, bounds, strict=True)]

    def _known_of(self, image_id: str) -> _Taken:
        """Return what was taken in of one image."""
        if self._by_image is None:
            everything = _join(self._taken)
            order = np.argsort(everything.images_H, kind="stable")
            starts_I = np.searchsorted(everything.images_H[order], np.arange(len(self._numbers) + 1))
            self._by_image = everything.part(order), starts_I
        number = self._numbers.get(image_id)
        grouped, starts_I = self._by_image
        return grouped.part(slice(0) if number is None else slice(starts_I[number], starts_I[number + 1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """H hits: the number of each one's image, the row of its term, its place in the image, and its similarity."""

    images_H: NDArray[np.intp]
    rows_H: NDArray[np.intp]
    places_H: NDArray[np.intp]
    similarities_H: FloatArray

    def part(self, chosen: slice | NDArray[np.intp]) -> _Taken:
        return _Taken(
            images_H=self.images_H[chosen],
            rows_H=self.rows_H[chosen],
            places_H=self.places_H[chosen],
            similarities_H=self.similarities_H[chosen],
        )


def _join(parts: Sequence[_Taken]) -> _Taken:
    none, nothing = np.empty(0, np.intp), np.empty(0, np.float32)
    return _Taken(
        images_H=np.concatenate([none, *(part.images_H for part in parts)]),
        rows_H=np.concatenate([none, *(part.rows_H for part in parts)]),
        places_H=np.concatenate([none, *(part.places_H for part in parts)]),
        similarities_H=np.concatenate([nothing, *(part.similarities_H for part in parts)]),
    )
