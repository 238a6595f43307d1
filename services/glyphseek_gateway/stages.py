"""The stages of a search as the gateway runs them: each within its share of the time, and measured.

A stage gets its own limit, or what is left of the whole less a reserve: so that a late stage leaves time to answer
without it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from glyphseek.filters import Filter
from glyphseek.matching import MatchCandidate, Matching
from glyphseek.metrics import Metrics
from glyphseek.ports import Model, VectorStore
from glyphseek.queries import Term
from glyphseek.ranking import QueryPlan
from glyphseek.reranking import Reranking
from glyphseek.rpc.context import call_bound, current_call, time_left
from glyphseek.search import MatchStage, RerankStage
from glyphseek.types import FloatArray, ImageFeatures, ImageRecord, ModelCard, RgbImage, RowHits, TermFeatures

_RESERVED_SHARE = 0.1
_LEAST_RESERVED_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The most seconds that each stage of a search may take."""

    encode_s: float = 1.0
    recall_s: float = 2.0
    rerank_s: float = 0.5
    match_s: float = 0.5


class Stage:
    """Runs blocks of one name within `most_s` seconds, and measures them."""

    def __init__(self, name: str, most_s: float, metrics: Metrics, *, reserves: bool = True) -> None:
        """`reserves`: the search can be answered without the stage, which therefore does not get all that is left."""
        self._name = name
        self._most_s = most_s
        self._metrics = metrics
        self._reserves = reserves

    @contextmanager
    def run(self) -> Generator[None]:
        """Bound the calls to others that are made in the block. Raises DeadlineExceeded when there is no time left."""
        call = current_call()
        with self._metrics.measure(self._metrics.stage_seconds, self._name):
            if call is None:
                yield
                return
            with call_bound(replace(call, deadline=time.monotonic() + self._share_of(time_left(self._most_s)))):
                yield

    def _share_of(self, left_s: float) -> float:
        if not self._reserves:
            return left_s
        call = current_call()
        whole_s = None if call is None else call.remaining_s()
        if whole_s is None:
            return left_s
        return min(left_s, whole_s - max(_LEAST_RESERVED_S, _RESERVED_SHARE * whole_s))


class TimedModel:
    """A model whose query terms are encoded within their share of the time."""

    def __init__(self, model: Model, stage: Stage) -> None:
        self._model = model
        self._stage = stage

    @property
    def card(self) -> ModelCard:
        """Return the card of the model."""
        return self._model.card

    def prepare(self, image: RgbImage) -> RgbImage:
        """Return the image as the model reads it."""
        return self._model.prepare(image)

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Return the features of prepared images."""
        return self._model.encode_images(images)

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        """Return the vectors of query terms. Raises DeadlineExceeded too: nothing can be searched without them."""
        with self._stage.run():
            return self._model.encode_terms(terms)


class TimedVectors:
    """A vector store whose reads for a search are measured."""

    def __init__(self, vectors: VectorStore, stage: Stage) -> None:
        self._vectors = vectors
        self._stage = stage

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        """Write or replace images."""
        self._vectors.put(records, vectors)

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        """Return the best rows for each query."""
        with self._stage.run():
            return self._vectors.search(vectors_QD, limit, where=where)

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist."""
        return self._vectors.get(image_ids)

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield the images behind `after` in the order of their ids."""
        return self._vectors.scan(after=after)

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images."""
        self._vectors.delete(image_ids)

    def close(self) -> None:
        """Release the store."""
        self._vectors.close()


class TimedReranker:
    """A reranker that is given up when it is late; the search goes on without it."""

    def __init__(self, reranker: RerankStage, stage: Stage) -> None:
        self._reranker = reranker
        self._stage = stage

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        """Return the scores. Raises ServiceError or StoreError."""
        with self._stage.run():
            return self._reranker.rerank(terms, image_ids, with_attention=with_attention)


class TimedMatcher:
    """A matcher that is given up when it is late; the search goes on without it."""

    def __init__(self, matcher: MatchStage, stage: Stage) -> None:
        self._matcher = matcher
        self._stage = stage

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        """Return how well the images answer. Raises ServiceError or StoreError."""
        with self._stage.run():
            return self._matcher.match(plan, terms, images, top=top, least_score=least_score)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """All stages of this process' searches."""

    encode: Stage
    recall: Stage
    rerank: Stage
    match: Stage

    @classmethod
    def of(cls, budgets: Budgets, metrics: Metrics) -> Stages:
        """Return the stages with their budgets."""
        return cls(
            encode=Stage("encode", budgets.encode_s, metrics, reserves=False),
            recall=Stage("recall", budgets.recall_s, metrics, reserves=False),
            rerank=Stage("rerank", budgets.rerank_s, metrics),
            match=Stage("match", budgets.match_s, metrics),
        )
