"""The best way to read a phrase in one image: one instance for each word, in order, next to each other.

P words of the phrase, N instances. P more "absent" places stand for words that were not found; they are apart from
everything. The search keeps the `BEAM` best beginnings; no beginning uses an instance twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.ranking.reading import APART
from glyphseek.types import FloatArray

_ROUNDED = 0.999  # products of float32 differ by less

BEAM = 16
"""Beginnings kept at each word; exact while an image has no more plausible readings than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`places[k]` is the instance that answers word k, or None; `probability` is of the words and of their order."""

    probability: float
    places: tuple[int | None, ...]


def find_plausible(probable_PN: FloatArray, absent: float) -> NDArray[np.bool_]:
    """Return (N,) which instances the best reading may have, from the words' probabilities as `read_phrase` takes them.

    One reading is known whatever the places: the likeliest instances that are left, word by word, all of them apart.
    An instance counts where it would reach that as some word, were the other words the likeliest and all side by side.
    """
    best_P = np.maximum(probable_PN.max(axis=1, initial=0.0), absent)
    left_N = np.ones(probable_PN.shape[1], dtype=np.float32)
    known = APART ** (len(probable_PN) - 1)
    for row_N in probable_PN:
        left = row_N * left_N
        known *= max(left.max(initial=0.0), absent)
        if len(left):
            left_N[left.argmax()] = 0.0
    reached_PN = probable_PN * (best_P.prod() / best_P)[:, None]
    return (reached_PN >= known * _ROUNDED).any(axis=0)


def read_phrase(probable_PN: FloatArray, near_NN: FloatArray, absent: float) -> Reading:
    """Return the reading of greatest probability: the product of the words' and of the steps between them.

    `near_NN` is as `adjacency` returns it, `absent` the probability of a word that no instance answers.
    """
    words, instances = probable_PN.shape
    probable = np.full((words, instances + words), absent, dtype=np.float32)
    probable[:, :instances] = probable_PN
    near = np.full((instances + words, instances + words), APART, dtype=np.float32)
    near[:instances, :instances] = near_NN
    places = np.argsort(-probable[0], kind="stable")[:BEAM, None]
    scores = probable[0][places[:, 0]]
    for word in range(1, words):
        reached = scores[:, None] * near[places[:, -1]] * probable[word]
        np.put_along_axis(reached, places, -1.0, axis=1)
        best = np.argsort(-reached, axis=None, kind="stable")[:BEAM]
        beginning, place = np.unravel_index(best[reached.flat[best] >= 0], reached.shape)
        places = np.column_stack([places[beginning], place])
        scores = reached[beginning, place]
    return Reading(
        probability=float(scores[0]), places=tuple(int(one) if one < instances else None for one in places[0])
    )
