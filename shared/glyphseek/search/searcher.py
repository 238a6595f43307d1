"""One search, from query to hits; it knows the model, the store of vectors and the second stages by protocols only."""

from __future__ import annotations

import time
from collections.abc import Callable

from glyphseek.errors import ImageNotFound, SettingError
from glyphseek.filters import Filter
from glyphseek.metrics import Metrics
from glyphseek.ports import Model, VectorStore
from glyphseek.queries import Expression, parse_query
from glyphseek.ranking import plan_query
from glyphseek.search.hits import describe_hits, threshold_of
from glyphseek.search.job import Job
from glyphseek.search.matching import MatchRun
from glyphseek.search.reranking import RerankRun
from glyphseek.search.result import Degradation, Hit, SearchResult
from glyphseek.search.settings import SearchSettings
from glyphseek.search.stages import MatchStage, RerankStage
from glyphseek.search.stopwatch import Stopwatch
from glyphseek.tracing import span
from glyphseek.types import FeatureKind


class Searcher:
    """Answers queries over one gallery. It keeps no state: it is as safe to share as what it was given."""

    def __init__(
        self,
        model: Model,
        vectors: VectorStore,
        *,
        matcher: MatchStage | None = None,
        reranker: RerankStage | None = None,
        settings: SearchSettings | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`matcher` and `reranker` are of the same model and its features.

        Models of instances are asked the one, models of token maps the other; without it, recall answers alone.
        `metrics` counts the searches that are answered, and the stages they went without.
        `clock` returns seconds and is only used for the timings in results.
        """
        self._model = model
        self._vectors = vectors
        self._matcher = matcher
        self._reranker = reranker
        self._settings = settings or SearchSettings()
        self._metrics = metrics
        self._clock = clock

    def search(
        self,
        query: str,
        *,
        top: int = 10,
        rerank: int | None = None,
        where: Filter | None = None,
        with_attention: bool = False,
    ) -> SearchResult:
        """Return the `top` best hits, best first; images with an excluded word are left out.

        Only images whose metadata `where` matches are looked at. Candidates are those that recall likes best for any
        required word of the query. With a model of instances they are matched exactly, until no other can be among the
        best. With a model of token maps the `rerank` best of recall (None: as settings and card say, 0: none) are
        reranked and stand before all others; `with_attention` adds the maps to the hits. Where a blob cannot be used,
        or the second stage does not answer, images keep their place in recall and the result says so.

        Raises QueryError for a query that cannot be asked, SettingError for `top` outside 1 to the settings' `max_top`
        or `rerank` outside 0 to `max_rerank` or asked of a model without token maps, StoreError when the vector store
        fails, and ServiceError when the model is in another process and does not answer.
        """
        if not 1 <= top <= self._settings.max_top:
            raise SettingError(f"top is {top}, it must be 1 to {self._settings.max_top}")
        depth = self._check_depth(rerank)
        expression = parse_query(query)
        with span("search"):
            job = self._start(expression, top, where)
            run = self._plan_run(job, depth)
            hits = describe_hits(job, run.find(), with_attention=with_attention)
        result = SearchResult(
            query=str(expression),
            hits=hits,
            confident=bool(hits) and hits[0].score >= threshold_of(job.card, hits[0]),
            degraded=run.degradations(),
            timings=job.watch.read(),
        )
        if self._metrics is not None:
            self._metrics.note_search(confident=result.confident, missing=[one.stage for one in result.degraded])
        return result

    def look_at(
        self, query: str, image_id: str, *, with_attention: bool = False
    ) -> tuple[Hit, tuple[Degradation, ...]]:
        """Return one image as it answers the query, by the second stage, and what that stage went without.

        The score is that of a search in which the second stage scored the image; one that does not answer the query has
        0 or little. Where its blob cannot be used, recall scores it if it is among the rows that recall finds.

        Raises ImageNotFound for an unknown id, and what `search` raises.
        """
        expression = parse_query(query)
        with span("search.look"):
            job = self._start(expression, 1)
            if image_id not in self._vectors.get([image_id]):
                raise ImageNotFound(f"there is no image {image_id!r}")
            run = self._plan_run(job, 1)
            hits = describe_hits(job, [run.look(image_id)], with_attention=with_attention)
        if not hits:
            raise ImageNotFound(f"there is no image {image_id!r} any more")
        return hits[0], run.degradations()

    def _start(self, expression: Expression, top: int, where: Filter | None = None) -> Job:
        card = self._model.card
        plan = plan_query(expression, max_term_characters=card.max_query_characters)
        watch = Stopwatch(self._clock)
        with watch.measure("encode"), span("search.encode", terms=len(plan.terms)):
            terms = self._model.encode_terms(plan.terms)
        return Job(
            card=card,
            vectors=self._vectors,
            settings=self._settings,
            plan=plan,
            terms=terms,
            top=top,
            watch=watch,
            where=where,
        )

    def _plan_run(self, job: Job, depth: int) -> MatchRun | RerankRun:
        if FeatureKind.INSTANCES in job.card.features:
            return MatchRun(job, self._matcher)
        return RerankRun(job, self._reranker, depth)

    def _check_depth(self, rerank: int | None) -> int:
        if rerank is None:
            return self._settings.rerank_of(self._model.card)
        if rerank > 0 and self._reranker is None:
            raise SettingError(f"rerank is {rerank}, but {self._model.card.name} is not reranked: it must be 0")
        return self._settings.check_rerank(rerank)
