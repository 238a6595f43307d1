"""The best way to read a phrase in one image: one instance for each word, in order, next to each other.

P words of the phrase, N instances. P more "absent" places stand for words that were not found; they are apart from
everything. The search keeps the `BEAM` best beginnings; no beginning uses an instance twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glyphseek.ranking.reading import APART
from glyphseek.types import FloatArray

BEAM = 16
"""Beginnings kept at each word; exact while an image has no more plausible readings than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`places[k]` is the instance that answers word k, or None; `probability` is of the words and of their order."""

    probability: float
    places: tuple[int | None, ...]


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
