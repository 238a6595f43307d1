"""Scores of a whole gallery by instance vectors, exact and in blocks: what the vector store approximates.

Shape legend: Q queries, N images, D vector width, V variants of all terms together, I instances of all images together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from glyphseek.errors import InputError, QueryError
from glyphseek.queries import Term, normalize
from glyphseek.types import FloatArray, Instances, TermFeatures

NO_INSTANCE_SCORE = -1.0
"""Score of an image in which no word was found: below every image in which one was."""

_BLOCK_ELEMENTS = 1 << 24


def score_gallery(terms: Sequence[TermFeatures], instances: Sequence[Instances]) -> FloatArray:
    """Return (Q, N) float32: for each term and image the largest inner product of a variant with an instance.

    An image without instances scores -1. Similarities are computed 16 million at a time (64 MB).
    """
    scores_QN = np.full((len(terms), len(instances)), NO_INSTANCE_SCORE, dtype=np.float32)
    filled = [number for number, found in enumerate(instances) if len(found) > 0]
    if not filled or not terms:
        return scores_QN
    vectors_ID = np.concatenate([instances[number].vectors_ND for number in filled]).astype(np.float32, copy=False)
    starts = _starts([len(instances[number]) for number in filled])
    for first, last in _blocks(terms, max(1, _BLOCK_ELEMENTS // len(vectors_ID))):
        variants_VD = np.concatenate([term.vectors_VD for term in terms[first:last]])
        best_IQ = np.maximum.reduceat(
            vectors_ID @ variants_VD.T, _starts([len(t.vectors_VD) for t in terms[first:last]]), axis=1
        )
        scores_QN[first:last, filled] = np.maximum.reduceat(best_IQ, starts, axis=0).T
    return scores_QN


def score_queries(
    queries: Sequence[str],
    encode_terms: Callable[[Sequence[Term]], list[TermFeatures]],
    instances: Sequence[Instances],
    *,
    max_characters: int,
    as_whole: bool = False,
) -> Callable[[str], FloatArray]:
    """Return a function from one of `queries` to its (N,) scores: the mean of the scores of its words.

    Words are as `query_words` gives them; the mean is how MSTAR asks a model of words for more than one. A word that
    the model refuses (QueryError), and a query without words, score -1 for every image.
    """
    features = encode_words(queries, encode_terms, max_characters=max_characters, as_whole=as_whole)
    rows = dict(zip(features, score_gallery(list(features.values()), instances), strict=True))
    nothing = np.full(len(instances), NO_INSTANCE_SCORE, dtype=np.float32)

    def score(query: str) -> FloatArray:
        asked = query_words(query, max_characters, as_whole=as_whole)
        if not asked:
            return nothing
        return np.stack([rows.get(word, nothing) for word in asked]).mean(axis=0, dtype=np.float32)

    return score


def query_words(query: str, max_characters: int, *, as_whole: bool = False) -> list[str]:
    """Return the normalised words of a query, each cut to `max_characters`; as a whole it is one text with spaces."""
    text = normalize(query)
    words = [text] if as_whole and text else text.split()
    return [word[:max_characters] for word in words]


def encode_words(
    queries: Sequence[str],
    encode_terms: Callable[[Sequence[Term]], list[TermFeatures]],
    *,
    max_characters: int,
    as_whole: bool = False,
) -> dict[str, TermFeatures]:
    """Return the features of every different word of the queries; those that the model refuses are left out."""
    asked = (query_words(query, max_characters, as_whole=as_whole) for query in queries)
    words = sorted({word for one in asked for word in one})
    answered, features = _encode_known(words, encode_terms)
    return dict(zip(answered, features, strict=True))


def matrix_scorer(queries: Sequence[str], scores_QN: FloatArray) -> Callable[[str], FloatArray]:
    """Return a function from a query to its row of `scores_QN`; raises InputError when the numbers differ."""
    if len(queries) != len(scores_QN):
        raise InputError(f"{len(scores_QN)} rows of scores do not fit {len(queries)} queries")
    rows = dict(zip(queries, scores_QN, strict=True))
    return rows.__getitem__


def _encode_known(
    words: Sequence[str], encode_terms: Callable[[Sequence[Term]], list[TermFeatures]]
) -> tuple[list[str], list[TermFeatures]]:
    try:
        return list(words), encode_terms([Term(text=word) for word in words])
    except QueryError:
        return _encode_one_by_one(words, encode_terms)


def _encode_one_by_one(
    words: Sequence[str], encode_terms: Callable[[Sequence[Term]], list[TermFeatures]]
) -> tuple[list[str], list[TermFeatures]]:
    answered: list[str] = []
    features: list[TermFeatures] = []
    for word in words:
        try:
            features.extend(encode_terms([Term(text=word)]))
        except QueryError:
            continue
        answered.append(word)
    return answered, features


def _starts(lengths: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(lengths[:-1], dtype=int).tolist()]


def _blocks(terms: Sequence[TermFeatures], max_variants: int) -> list[tuple[int, int]]:
    """Return ranges of terms that hold at most `max_variants` variants together, and at least one term each."""
    blocks: list[tuple[int, int]] = []
    first, held = 0, 0
    for number, term in enumerate(terms):
        if number > first and held + len(term.vectors_VD) > max_variants:
            blocks.append((first, number))
            first, held = number, 0
        held += len(term.vectors_VD)
    return [*blocks, (first, len(terms))]
