"""How well one image answers a query, and which word in it answers which word of the query.

The score is a probability. Required units multiply (all of them are there), alternatives take the best, and for what
must not be there the score is multiplied by the probability that it is not; where an excluded word or phrase is there
at the calibration's threshold or above, the alternative scores 0. In a query of words, raising the similarity of a
required one never lowers the score, and raising that of an excluded one never raises it.

T different terms of the query, W single words of one alternative, N instances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from glyphseek.queries import Term
from glyphseek.ranking.phrases import find_plausible, read_phrase
from glyphseek.ranking.plan import Alternative, QueryPlan, Unit
from glyphseek.ranking.reading import adjacency, overlapping, unplaced
from glyphseek.ranking.similarity import ABSENT_SIMILARITY, probabilities
from glyphseek.types import Calibration, FloatArray

_TINY = 1e-12  # keeps the logarithm of an impossible match finite


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMatch:
    """What answers one word of the query: `term` as written there, the similarity with its tolerance added, at most 1.

    `instance` is the place in the image's `Instances`, `box` left, top, right, bottom as fractions of the displayed
    image. Both are None when nothing answers the word, `box` also when places are not known. Of a reranked image,
    `similarity` is the match probability, `instance` counts the regions of attention, and `box` goes around one.
    """

    term: str
    similarity: float
    instance: int | None
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMatch:
    """The score in [0, 1] of one image, and one match for each word of its best alternative, in the query's order."""

    score: float
    matches: tuple[TermMatch, ...]


def match_image(
    plan: QueryPlan,
    similarities_TN: FloatArray,
    boxes_N4: FloatArray | None,
    *,
    aspect: float,
    calibration: Calibration,
    is_coarse: bool = False,
    told_TN: FloatArray | None = None,
) -> ImageMatch:
    """Return the match of the alternative that scores best, the first of equals.

    `boxes_N4` are fractions of the image and `aspect` its width / height; without boxes the words of a phrase count as
    half adjacent, and so do, at least, those whose boxes overlap when boxes are coarse. Phrases choose their instances
    first, in the query's order; single words share the others one to one. `told_TN` is what matches say instead of the
    similarity.
    """
    place = partial(_place, boxes_N4, aspect, is_coarse)
    matcher = _Matcher(plan.terms, similarities_TN, place, boxes_N4, calibration, told_TN)
    return max((matcher.match(one) for one in plan.alternatives), key=lambda match: match.score)


def _place(boxes_N4: FloatArray | None, aspect: float, is_coarse: bool, chosen_C: NDArray[np.intp]) -> FloatArray:
    """Return (C, C): how surely each of the chosen instances is read right after each."""
    if boxes_N4 is None:
        return unplaced(len(chosen_C))
    near_CC = adjacency(boxes_N4, aspect, chosen_C)
    return np.maximum(near_CC, unplaced(len(chosen_C)) * overlapping(boxes_N4[chosen_C])) if is_coarse else near_CC


@dataclass(frozen=True, slots=True)
class _Answer:
    """One row of the query answered by an instance, or by none."""

    row: int
    instance: int | None


class _Matcher:
    """One image; `match` may be asked for several alternatives."""

    def __init__(
        self,
        terms: tuple[Term, ...],
        similarities_TN: FloatArray,
        place: Callable[[NDArray[np.intp]], FloatArray],
        boxes_N4: FloatArray | None,
        calibration: Calibration,
        told_TN: FloatArray | None,
    ) -> None:
        self._terms = terms
        self._told_TN = similarities_TN if told_TN is None else told_TN
        self._similarities_TN = similarities_TN
        self._place = place
        self._boxes_N4 = boxes_N4
        self._threshold = calibration.threshold
        self._probable_TN = probabilities(similarities_TN, calibration)
        self._absent = float(probabilities(np.full(1, ABSENT_SIMILARITY, dtype=np.float32), calibration)[0])

    def match(self, alternative: Alternative) -> ImageMatch:
        score, answers = self._find_required(alternative.required)
        for unit in alternative.excluded:
            present = self._probability_of_excluded(unit, alternative.required)
            score *= 0.0 if present >= self._threshold else 1.0 - present
        return ImageMatch(score=score, matches=tuple(map(self._describe, answers)))

    def _find_required(self, units: tuple[Unit, ...]) -> tuple[float, list[_Answer]]:
        """Return the product over units, and their answers in the order of the units."""
        is_free_N = np.ones(self._similarities_TN.shape[1], dtype=bool)
        score = 1.0
        answers: dict[int, list[_Answer]] = {}
        for place, unit in enumerate(units):
            if unit.is_phrase:
                probability, answers[place] = self._find_phrase(unit, is_free_N)
                is_free_N[[one.instance for one in answers[place] if one.instance is not None]] = False
                score *= probability
        words = [place for place, unit in enumerate(units) if not unit.is_phrase]
        rows = [units[place].rows[0] for place in words]
        for place, answer in zip(words, self._assign_words(rows, is_free_N), strict=True):
            answers[place] = [answer]
            score *= self._probability_of(answer)
        return score, [one for place in range(len(units)) for one in answers[place]]

    def _find_phrase(self, unit: Unit, is_free_N: NDArray[np.bool_]) -> tuple[float, list[_Answer]]:
        free = np.flatnonzero(is_free_N)
        probable_PN = self._among(unit.rows, free)
        is_plausible_N = find_plausible(probable_PN, self._absent)
        free, probable_PN = free[is_plausible_N], probable_PN[:, is_plausible_N]
        reading = read_phrase(probable_PN, self._near(free), self._absent)
        if unit.joined is not None:
            joined = self._assign_word(unit.joined, is_free_N)
            if joined.instance is not None and self._probability_of(joined) > reading.probability:
                return self._probability_of(joined), [joined]
        places = (None if place is None else int(free[place]) for place in reading.places)
        return reading.probability, [_Answer(row, place) for row, place in zip(unit.rows, places, strict=True)]

    def _near(self, chosen: NDArray[np.intp]) -> FloatArray:
        """Return how surely chosen words follow one another."""
        return unplaced(len(chosen)) if len(chosen) < 2 else self._place(chosen)

    def _assign_words(self, rows: list[int], is_free_N: NDArray[np.bool_]) -> list[_Answer]:
        """Return the one-to-one answers of greatest product; no answer is better than one less probable than chance."""
        if len(rows) < 2:
            return [self._assign_word(row, is_free_N) for row in rows]
        free = np.flatnonzero(is_free_N)
        absent_WW = np.full((len(rows), len(rows)), self._absent, dtype=np.float32)
        probable = np.hstack([self._among(rows, free), absent_WW])
        _, columns = linear_sum_assignment(-np.log(np.maximum(probable, _TINY)))
        is_found_W = probable[np.arange(len(rows)), columns] > self._absent
        places = (int(free[column]) if found else None for column, found in zip(columns, is_found_W, strict=True))
        return [_Answer(row, place) for row, place in zip(rows, places, strict=True)]

    def _assign_word(self, row: int, is_free_N: NDArray[np.bool_]) -> _Answer:
        probable_N = np.append(np.where(is_free_N, self._probable_TN[row], 0.0), self._absent)
        best = int(probable_N.argmax())
        return _Answer(row, best if probable_N[best] > self._absent else None)

    def _probability_of(self, answer: _Answer) -> float:
        return self._absent if answer.instance is None else float(self._probable_TN[answer.row, answer.instance])

    def _probability_of_excluded(self, unit: Unit, required: tuple[Unit, ...]) -> float:
        """Return how probably the unit is there.

        An instance that looks more like a required word is no evidence of an excluded one: in `coffee NOT coffees`,
        `coffee` itself looks much like `coffees`.
        """
        if unit.is_phrase:
            return self._find_phrase(unit, np.ones(self._similarities_TN.shape[1], dtype=bool))[0]
        rows = [row for one in required for row in one.rows]
        is_open_N = self._similarities_TN[unit.rows[0]] >= self._similarities_TN[rows].max(axis=0)
        return self._probability_of(self._assign_word(unit.rows[0], is_open_N))

    def _among(self, rows: Sequence[int], instances: NDArray[np.intp]) -> FloatArray:
        return self._probable_TN[list(rows)][:, instances]

    def _describe(self, answer: _Answer) -> TermMatch:
        term = str(self._terms[answer.row])
        if (found := answer.instance) is None:
            return TermMatch(term=term, similarity=ABSENT_SIMILARITY, instance=None, box=None)
        similarity = float(self._told_TN[answer.row, found])
        return TermMatch(term=term, similarity=min(1.0, similarity), instance=found, box=self._box_of(found))

    def _box_of(self, instance: int) -> tuple[float, float, float, float] | None:
        if self._boxes_N4 is None:
            return None
        left, top, right, bottom = map(float, self._boxes_N4[instance])
        return left, top, right, bottom
