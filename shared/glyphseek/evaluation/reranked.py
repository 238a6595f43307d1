"""Scores of a whole gallery after its best images were reranked, at several depths.

Shape legend: N images, W words of one query, H images of the head, the deepest part of the gallery that is reranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import GalleryDamaged
from glyphseek.evaluation.scoring import query_words
from glyphseek.fetching import list_faults
from glyphseek.ranking import fuse
from glyphseek.reranking import Reranker
from glyphseek.types import FloatArray, Fusion, TermFeatures

BELOW = 4.0
"""What the images that are not reranked are lowered by. Fused scores lie within -1 to 2 and cosines within -1 to 1, so
that each of them comes after every reranked one, whatever either scores."""

_CHUNK_IMAGES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The best images of recall for one query: their places, best first, match probability, and which have one."""

    places_H: NDArray[np.intp]
    probabilities_H: FloatArray
    is_scored_H: NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class GalleryReranker:
    """Reranks the head of a gallery for queries of a list. Image i of N is `image_ids[i]`, None for one without blob.

    `features` holds the encoded words of all queries, `max_depth` is how deep a query is ever reranked. A query of
    several words scores the mean over its words, of cosine and of match probability alike; a word without features
    has cosine -1 and probability 0. A head is computed once and serves every depth.
    """

    reranker: Reranker
    image_ids: Sequence[str | None]
    features: Mapping[str, TermFeatures]
    max_characters: int
    max_depth: int
    fusion: Fusion = Fusion.SUM
    as_whole: bool = False
    _heads: dict[str, _Head] = field(default_factory=dict[str, _Head])

    def score(self, query: str, recall_N: FloatArray, depth: int) -> FloatArray:
        """Return (N,) scores: the `depth` best by `recall_N` (mean cosines) are fused, all others stay behind them.

        Equal cosines are taken in the order of the gallery. Images without a blob are not reranked. With depth 0 the
        scores are those of recall. Raises GalleryDamaged when a blob that should be there cannot be used.
        """
        if depth == 0:
            return recall_N
        if query not in self._heads:
            self._heads[query] = self._read_head(query, recall_N)
        head = self._heads[query]
        is_in_H = head.is_scored_H & (np.arange(len(head.places_H)) < depth)
        places = head.places_H[is_in_H]
        scores_N = recall_N - np.float32(BELOW)
        scores_N[places] = fuse(recall_N[places], head.probabilities_H[is_in_H], self.fusion)
        return scores_N

    def _read_head(self, query: str, recall_N: FloatArray) -> _Head:
        places_H = np.argsort(-recall_N, kind="stable")[: self.max_depth]
        probabilities = self._probabilities(query, [self.image_ids[place] for place in places_H])
        is_scored_H = np.array([self.image_ids[place] in probabilities for place in places_H], dtype=np.bool_)
        return _Head(
            places_H=places_H,
            probabilities_H=np.array([probabilities.get(self.image_ids[place], 0.0) for place in places_H], np.float32),
            is_scored_H=is_scored_H,
        )

    def _probabilities(self, query: str, image_ids: Sequence[str | None]) -> dict[str | None, float]:
        """Return the mean match probability over the query's words of every image that could be scored."""
        words = query_words(query, self.max_characters, as_whole=self.as_whole)
        terms = [self.features[word] for word in words if word in self.features]
        asked = [one for one in image_ids if one is not None]
        probabilities: dict[str | None, float] = {}
        for start in range(0, len(asked), _CHUNK_IMAGES):
            found = self.reranker.rerank(terms, asked[start : start + _CHUNK_IMAGES])
            if found.faults:
                raise GalleryDamaged(f"token maps cannot be measured: {list_faults(found.faults)}")
            means = found.scores.probabilities_TK.sum(axis=0) / max(1, len(words))
            probabilities |= zip(found.image_ids, means.tolist(), strict=True)
        return probabilities
