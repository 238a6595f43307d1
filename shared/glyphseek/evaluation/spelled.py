"""Scores of a whole gallery whose best images were matched by letters, as a search matches its candidates.

Shape legend: N images, H images of the head, the part of the gallery that is matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glyphseek.errors import SettingError
from glyphseek.evaluation.reranked import BELOW
from glyphseek.evaluation.scoring import query_words
from glyphseek.queries import Term
from glyphseek.ranking import Gathered, spelt_similarities, term_similarities
from glyphseek.types import FloatArray, Instances, ModelCard, TermFeatures

LOWEST = -32.0
"""Less than letters make of any word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GallerySpeller:
    """Matches the head of a gallery by letters for queries of a list; `images[i]` are the words of image i.

    `features` holds the encoded words of all queries; `depth` images are matched for one query. A query of several
    words scores the mean over its words; a word without features is nowhere. Raises SettingError for a model without
    letters.
    """

    images: Sequence[Instances]
    features: Mapping[str, TermFeatures]
    card: ModelCard
    depth: int

    def score(self, query: str, recall_N: FloatArray) -> FloatArray:
        """Return (N,) scores: the `depth` best by `recall_N` are told by letters, all others stay behind them.

        Equal images of recall are taken in the order of the gallery; those in which no word was found stay behind too.
        """
        best = np.argsort(-recall_N, kind="stable")[: self.depth]
        places_H = np.array([place for place in best if len(self.images[place])], dtype=np.intp)
        scores_N = recall_N - np.float32(BELOW - LOWEST)
        if len(places_H):
            images = [self.images[place] for place in places_H]
            words = query_words(query, self.card.max_query_characters)
            scores_N[places_H] = np.mean([self._spell(word, images) for word in words], axis=0)
        return scores_N

    def _spell(self, word: str, images: Sequence[Instances]) -> FloatArray:
        """Return (H,) similarities of the best instance of each image."""
        if self.card.letters is None:
            raise SettingError(f"{self.card.name} keeps no letters")
        if word not in self.features:
            return np.full(len(images), -1.0, dtype=np.float32)
        term, gathered = Term(text=word), Gathered(images)
        (by_vectors_N,) = term_similarities([term], [self.features[word]], gathered)
        spelt_N = spelt_similarities(term, by_vectors_N, gathered, alphabet=self.card.alphabet, scale=self.card.letters)
        return np.maximum.reduceat(spelt_N, gathered.places[:-1])
