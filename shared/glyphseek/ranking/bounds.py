"""Scores that images cannot pass, from little work, so that only those that may be among the best are matched exactly.

T terms, I images, N instances of all of them together, M pairs of instances of one image.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from glyphseek.ranking.gathered import Gathered
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit
from glyphseek.ranking.reading import APART, near_at_most
from glyphseek.ranking.similarity import ABSENT_SIMILARITY, probabilities
from glyphseek.types import Calibration, FloatArray

_ROUNDED = np.float32(1.00001)  # products of float32 differ by less
_MOST_PAIRS = 20_000  # take 6 ms

Steps = Mapping[tuple[int, ...], FloatArray]
"""For the rows of a phrase (I,) factors in [APART, 1]: what the places of its words leave of a score at most."""


def bound_scores(
    plan: QueryPlan, best_TI: FloatArray, calibration: Calibration, *, steps: Steps | None = None
) -> FloatArray:
    """Return for each image a score that `match_image` does not pass, from the best similarity of each term in it.

    It leaves out what can only lower the score: that words need instances of their own, what must not be there, and,
    without `steps`, the places of a phrase's words that are there. For a query of one word it is the score.
    """
    probable_TI = probabilities(best_TI, calibration)
    absent = _absent(calibration)
    return np.max([_bound_alternative(one, probable_TI, absent, steps or {}) for one in plan.alternatives], axis=0)


def bound_steps(
    plan: QueryPlan, similarities_TN: FloatArray, gathered: Gathered, aspects_I: FloatArray, calibration: Calibration
) -> Steps:
    """Return what the places of its words leave of each required phrase of a query."""
    phrases = {unit.rows for one in plan.alternatives for unit in one.required if unit.is_phrase}
    if not phrases:
        return {}
    probable_TN = probabilities(similarities_TN, calibration)
    best_TI = np.maximum(gathered.best(probable_TN), _absent(calibration))
    share_TN = (probable_TN / best_TI[:, gathered.image_of_N]).astype(np.float32)
    boxes_N4 = gathered.boxes()
    boxes_N4[:, ::2] *= aspects_I[gathered.image_of_N, None]
    bounds: dict[tuple[int, ...], FloatArray] = {}
    for rows in phrases:
        likely_I = best_TI[list(rows)].prod(axis=0)
        bounds[rows] = np.min(
            [_bound_step(share_TN[list(step)], boxes_N4, gathered, likely_I) for step in pairwise(rows)], axis=0
        )
    return bounds


def _bound_step(share_2N: FloatArray, boxes_N4: FloatArray, gathered: Gathered, likely_I: FloatArray) -> FloatArray:
    """Return (I,) what one step leaves at most, from how near each instance comes to the best of its image as a word.

    A pair with a share below APART, or without one of its words, leaves no more than APART. Where pairs are too many,
    the likeliest images are told and the others get 1.
    """
    before, after = (np.flatnonzero(share_N >= APART) for share_N in share_2N)
    ends = np.searchsorted(gathered.image_of_N[after], np.arange(len(likely_I) + 1))
    pairs_I = np.bincount(gathered.image_of_N[before], minlength=len(likely_I)) * np.diff(ends)
    likeliest = np.argsort(-likely_I, kind="stable")
    is_told_I = np.zeros(len(likely_I), dtype=bool)
    is_told_I[likeliest[pairs_I[likeliest].cumsum() <= _MOST_PAIRS]] = True
    before = before[is_told_I[gathered.image_of_N[before]]]
    before_M, after_M = _pair(before, after, ends, gathered.image_of_N[before])
    near_M = near_at_most(boxes_N4[before_M], boxes_N4[after_M])
    step_I = np.where(is_told_I, np.float32(APART), np.float32(1.0))
    np.maximum.at(step_I, gathered.image_of_N[before_M], share_2N[0, before_M] * share_2N[1, after_M] * near_M)
    return np.minimum(step_I * _ROUNDED, np.float32(1.0))


def _pair(
    before: NDArray[np.intp], after: NDArray[np.intp], ends: NDArray[np.intp], images: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (M,) and (M,): each of the first, which are of these images, with each of the second of the same image."""
    counts = np.diff(ends)[images]
    starts = counts.cumsum() - counts
    numbers = np.arange(counts.sum()) - np.repeat(starts, counts)
    return np.repeat(before, counts), after[np.repeat(ends[images], counts) + numbers]


def _bound_alternative(
    alternative: Alternative, probable_TI: FloatArray, absent: np.float32, steps: Steps
) -> FloatArray:
    return np.prod([_bound_unit(unit, probable_TI, absent, steps) for unit in alternative.required], axis=0)


def _bound_unit(unit: Unit, probable_TI: FloatArray, absent: np.float32, steps: Steps) -> FloatArray:
    rows_PI = probable_TI[list(unit.rows)]
    apart_I = np.maximum(rows_PI, absent).prod(axis=0)
    if not unit.is_phrase:
        return apart_I
    # All words are found, at best next to each other; or one is not, and is apart from the others.
    bound_I = np.maximum(rows_PI.prod(axis=0), np.float32(APART) * apart_I)
    if unit.rows in steps:
        bound_I = np.minimum(bound_I, steps[unit.rows] * apart_I)
    return bound_I if unit.joined is None else np.maximum(bound_I, probable_TI[unit.joined])


def _absent(calibration: Calibration) -> np.float32:
    return np.float32(probabilities(np.full(1, ABSENT_SIMILARITY, dtype=np.float32), calibration)[0])
