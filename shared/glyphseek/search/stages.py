"""The second stages of a search, in this process or in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from glyphseek.errors import ModelError, ModelMismatch, ServiceError, StoreError
from glyphseek.matching import MatchCandidate, Matching
from glyphseek.ranking import QueryPlan
from glyphseek.reranking import Reranking
from glyphseek.types import TermFeatures

STAGE_ERRORS = (ServiceError, StoreError, ModelError, ModelMismatch)
"""What a stage raises that cannot answer: it, its store or its model is not there. The search goes on without it."""


class MatchStage(Protocol):
    """Matches queries exactly with the words found in images, as `matching.Matcher` does."""

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        """Return how well the images answer the plan, whose terms are encoded as `terms`.

        With `top`, only the so many best are returned; 0 returns all. Images that cannot score `least_score` need not
        be among them. Raises one of `STAGE_ERRORS` when it cannot answer at all.
        """
        ...


class RerankStage(Protocol):
    """Scores images by their token maps, as `reranking.Reranker` does."""

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        """Return the scores of every term for every image whose token map can be used, in the order asked.

        Raises one of `STAGE_ERRORS` when it cannot answer at all.
        """
        ...


def name_failure(error: Exception) -> str:
    """Return why a stage did not answer, for a result: the error's name and its words."""
    return f"{type(error).__name__}: {error}"
