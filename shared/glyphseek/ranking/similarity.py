"""From vectors to similarities, and from similarities to probabilities.

T terms, V variants of a term, N instances of one or several images, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from glyphseek.queries import Term
from glyphseek.ranking.gathered import Gathered
from glyphseek.types import Calibration, FloatArray, TermFeatures

ABSENT_SIMILARITY = 0.0
"""Similarity of a word to an image that does not have it, or of which nothing is known: unrelated words score 0."""


def forgiveness(term: Term) -> float:
    """Return what tolerance adds to every similarity: edits / length, as a similarity is 1 - edits / length."""
    return term.edits / max(len(term.text), 1)


def forgive(similarities: FloatArray, term: Term) -> FloatArray:
    """Return similarities with the term's tolerance added; those of a term without tolerance unchanged.

    They may pass 1, so that of several forgiven words the one spelt exactly still comes first.
    """
    return similarities + np.float32(forgiveness(term)) if term.edits else similarities


def term_similarities(terms: Sequence[Term], features: Sequence[TermFeatures], gathered: Gathered) -> FloatArray:
    """Return the (T, N) similarity of each term to each instance: best variant, tolerance added."""
    products_NV = gathered.products(np.concatenate([one.vectors_VD for one in features]))
    firsts = np.cumsum([0, *(len(one.vectors_VD) for one in features[:-1])])
    similarities_TN = np.ascontiguousarray(np.maximum.reduceat(products_NV, firsts, axis=1).T)
    for row, term in enumerate(terms):
        similarities_TN[row] = forgive(similarities_TN[row], term)
    return similarities_TN


def probabilities(similarities: FloatArray, calibration: Calibration) -> FloatArray:
    """Return the probability that the word is there, in [0, 1], for similarities of any shape."""
    return np.asarray(expit(calibration.slope * similarities + calibration.offset), dtype=np.float32)
