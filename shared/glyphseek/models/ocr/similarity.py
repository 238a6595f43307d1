"""How alike a query and what the engine read are: spellings compared by edit distance.

Shape legend: N images of a gallery, W distinct spellings read in any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from glyphseek.evaluation.benchmark import alphanumeric
from glyphseek.models.ocr.reader import OcrLine
from glyphseek.types import FloatArray

PARTIAL_WEIGHT = 0.9
"""What a query found inside a longer word is worth beside one that is the word."""

MIN_CONFIDENCE = 0.5
"""Lines under this are dropped; it is what the engine drops by itself."""


class Similarity(StrEnum):
    """How a query is compared with what was read in an image; an image scores its best spelling.

    EDIT is 1 - (Levenshtein distance) / (length of the longer), as in the papers' figures for text spotters.
    EDIT_OR_PARTIAL is the better of that and 0.9 x the likeness of the query with the best equally long part of a
    spelling that is no shorter, for words that the engine ran together. Without the rule on length, "a" read in an
    image would be a part of every query with an a: 44.5 instead of 53.5 mAP on the set where it was tried.
    """

    EDIT = "edit"
    EDIT_OR_PARTIAL = "edit-or-partial"


def spellings(lines: Sequence[OcrLine], *, min_confidence: float = MIN_CONFIDENCE) -> frozenset[str]:
    """Return what lines of at least `min_confidence` say, made of a-z and 0-9 only: each word, and each line whole.

    The whole line helps where the engine saw spaces inside a word.
    """
    kept = [line.text for line in lines if line.confidence >= min_confidence]
    return frozenset(alphanumeric(part) for text in kept for part in (text, *text.split())) - {""}


def score_readings(
    lines: Mapping[str, Sequence[OcrLine]], names: Sequence[str], similarity: Similarity
) -> Callable[[str], FloatArray]:
    """Return a function from a query to its (N,) scores in [0, 1], in the order of `names`.

    Several words of a query are asked one by one and their scores averaged. An image without text scores 0.
    """
    read_by_image = [spellings(lines[name]) for name in names]
    vocabulary = sorted(frozenset[str]().union(*read_by_image))
    places = {spelling: place for place, spelling in enumerate(vocabulary)}
    filled = [number for number, read in enumerate(read_by_image) if read]
    members = np.array([places[spelling] for number in filled for spelling in read_by_image[number]], dtype=np.intp)
    starts = np.cumsum([0, *(len(read_by_image[number]) for number in filled)])[:-1]

    def score(query: str) -> FloatArray:
        scores_N = np.zeros(len(names), dtype=np.float32)
        asked = [word for word in map(alphanumeric, query.split()) if word]
        if asked and filled:
            likeness = [_likeness(word, vocabulary, similarity)[members] for word in asked]
            best = np.stack([np.maximum.reduceat(values, starts) for values in likeness])
            scores_N[filled] = best.mean(axis=0)
        return scores_N

    return score


def _likeness(query: str, vocabulary: Sequence[str], similarity: Similarity) -> NDArray[np.float32]:
    """Return (W,) float32: how alike `query` and each spelling of the vocabulary are."""
    edit = _compare(query, vocabulary, Levenshtein.normalized_similarity)
    if similarity is Similarity.EDIT:
        return edit
    is_long_enough = np.array([len(spelling) >= len(query) for spelling in vocabulary])
    partial = PARTIAL_WEIGHT / 100 * _compare(query, vocabulary, fuzz.partial_ratio)
    return np.maximum(edit, np.where(is_long_enough, partial, 0))


def _compare(query: str, vocabulary: Sequence[str], scorer: Callable[..., Any]) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], process.cdist([query], vocabulary, scorer=scorer, dtype=np.float32)[0])
