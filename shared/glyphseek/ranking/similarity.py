"""From vectors to similarities, and from similarities to probabilities.

T terms, V variants of a term, N instances of one or several images, I images, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from glyphseek.queries import Term
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit
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


def term_similarities(terms: Sequence[Term], features: Sequence[TermFeatures], vectors_ND: FloatArray) -> FloatArray:
    """Return the (T, N) similarity of each term to each instance: best variant, tolerance added."""
    similarities_TN = np.empty((len(terms), len(vectors_ND)), dtype=np.float32)
    for row, (term, feature) in enumerate(zip(terms, features, strict=True)):
        similarities_TN[row] = forgive((feature.vectors_VD @ vectors_ND.T).max(axis=0), term)
    return similarities_TN


def probabilities(similarities: FloatArray, calibration: Calibration) -> FloatArray:
    """Return the probability that the word is there, in [0, 1], for similarities of any shape."""
    return np.asarray(expit(calibration.slope * similarities + calibration.offset), dtype=np.float32)


def bound_scores(plan: QueryPlan, best_TI: FloatArray, calibration: Calibration) -> FloatArray:
    """Return for each image a score that `match_image` does not pass, from the best similarity of each term in it.

    It leaves out what can only lower the score: that words need instances of their own, the places of a phrase's words,
    and what must not be there. For a query of one word it is the score.
    """
    probable_TI = probabilities(np.maximum(best_TI, ABSENT_SIMILARITY), calibration)
    return np.max([_bound_alternative(one, probable_TI) for one in plan.alternatives], axis=0)


def _bound_alternative(alternative: Alternative, probable_TI: FloatArray) -> FloatArray:
    return np.prod([_bound_unit(unit, probable_TI) for unit in alternative.required], axis=0)


def _bound_unit(unit: Unit, probable_TI: FloatArray) -> FloatArray:
    apart_I = probable_TI[list(unit.rows)].prod(axis=0)
    return apart_I if unit.joined is None else np.maximum(apart_I, probable_TI[unit.joined])
