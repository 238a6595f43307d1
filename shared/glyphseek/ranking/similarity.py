"""From vectors to similarities, and from similarities to probabilities.

T terms, V variants of a term, N instances of one or several images, I images, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from glyphseek.queries import Term
from glyphseek.ranking.gathered import Gathered
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit
from glyphseek.ranking.reading import APART
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
    """Return the (T, N) similarity of each term to each instance: best variant, tolerance added.

    Each image is compared by itself, so that what is said of it does not depend on the others.
    """
    variants_VD = np.concatenate([one.vectors_VD for one in features])
    products_NV = np.empty((len(gathered), len(variants_VD)), dtype=np.float32)
    for place, image in enumerate(gathered.images):
        products_NV[gathered.part(place)] = image.products(variants_VD)
    firsts = np.cumsum([0, *(len(one.vectors_VD) for one in features[:-1])])
    similarities_TN = np.ascontiguousarray(np.maximum.reduceat(products_NV, firsts, axis=1).T)
    for row, term in enumerate(terms):
        similarities_TN[row] = forgive(similarities_TN[row], term)
    return similarities_TN


def probabilities(similarities: FloatArray, calibration: Calibration) -> FloatArray:
    """Return the probability that the word is there, in [0, 1], for similarities of any shape."""
    return np.asarray(expit(calibration.slope * similarities + calibration.offset), dtype=np.float32)


def bound_scores(plan: QueryPlan, best_TI: FloatArray, calibration: Calibration) -> FloatArray:
    """Return for each image a score that `match_image` does not pass, from the best similarity of each term in it.

    It leaves out what can only lower the score: that words need instances of their own, the places of a phrase's words
    that are there, and what must not be there. For a query of one word it is the score.
    """
    probable_TI = probabilities(best_TI, calibration)
    absent = probabilities(np.full(1, ABSENT_SIMILARITY, dtype=np.float32), calibration)[0]
    return np.max([_bound_alternative(one, probable_TI, absent) for one in plan.alternatives], axis=0)


def _bound_alternative(alternative: Alternative, probable_TI: FloatArray, absent: np.float32) -> FloatArray:
    return np.prod([_bound_unit(unit, probable_TI, absent) for unit in alternative.required], axis=0)


def _bound_unit(unit: Unit, probable_TI: FloatArray, absent: np.float32) -> FloatArray:
    rows_PI = probable_TI[list(unit.rows)]
    apart_I = np.maximum(rows_PI, absent).prod(axis=0)
    if not unit.is_phrase:
        return apart_I
    # All words are found, at best next to each other; or one is not, and is apart from the others.
    bound_I = np.maximum(rows_PI.prod(axis=0), np.float32(APART) * apart_I)
    return bound_I if unit.joined is None else np.maximum(bound_I, probable_TI[unit.joined])
