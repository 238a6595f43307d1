"""Average precision, recall and the interval around a mean: plain numpy, held to scikit-learn by the tests.

Shape legend: N images of a gallery, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import InputError
from glyphseek.types import FloatArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The bounds of a 95 % percentile bootstrap interval, in the unit of the mean they stand around."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedHits:
    """A gallery in the order of its scores, cut into groups of equal score, best group first.

    hits: relevant images up to and with each group; ranks: images up to and with each group. Both rise.
    """

    hits: NDArray[np.float64]
    ranks: NDArray[np.float64]

    @property
    def relevant(self) -> float:
        """Return how many images of the gallery are relevant."""
        return float(self.hits[-1])


def rank_hits(relevant_N: BoolArray, scores_N: FloatArray) -> RankedHits:
    """Return the groups of equal score of one query's ranking.

    Raises InputError when no image is relevant, when a score is not finite, or when the two differ in length.
    """
    if relevant_N.shape != scores_N.shape or relevant_N.ndim != 1:
        raise InputError(f"{relevant_N.shape} marks of relevance do not fit {scores_N.shape} scores")
    if not relevant_N.any():
        raise InputError("average precision needs at least one relevant image")
    if not np.isfinite(scores_N).all():
        raise InputError("a score is not a finite number")
    order = np.argsort(-scores_N, kind="stable")
    sorted_scores = scores_N[order]
    ends = np.append(np.flatnonzero(sorted_scores[1:] != sorted_scores[:-1]), len(order) - 1)
    return RankedHits(hits=np.cumsum(relevant_N[order], dtype=np.float64)[ends], ranks=ends + 1.0)


def average_precision(ranking: RankedHits) -> float:
    """Return sum over groups of (recall gained) x (precision there), in [0, 1].

    Equal to scikit-learn's `average_precision_score`: not interpolated, equal scores share one threshold.
    """
    precision = ranking.hits / ranking.ranks
    gained = np.diff(ranking.hits / ranking.relevant, prepend=0.0)
    # Summed from the last group to the first, as scikit-learn does, so that even the last bit agrees.
    return float(np.sum(np.ascontiguousarray((gained * precision)[::-1])))


def recall_at(ranking: RankedHits, count: int) -> float:
    """Return the part of the relevant images among the first `count`, in [0, 1].

    Of a group of equal scores that is cut by `count`, the expected number over all its orders is taken.
    """
    hits = np.interp(min(count, ranking.ranks[-1]), np.append(0.0, ranking.ranks), np.append(0.0, ranking.hits))
    return float(hits / ranking.relevant)


def bootstrap_interval(values_Q: Sequence[float], *, seed: int = 0, resamples: int = 2000) -> Interval:
    """Return where the mean of `values_Q` lies in 95 % of `resamples` draws of Q values with replacement.

    The same seed gives the same interval. Raises InputError without values.
    """
    if not values_Q:
        raise InputError("an interval needs at least one value")
    values = np.asarray(values_Q, dtype=np.float64)
    random = np.random.default_rng(seed)
    means = [float(values[random.integers(0, len(values), len(values))].mean()) for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(low=float(low), high=float(high))
