"""One search, from query to hits; it knows the model and the stores by their ports only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from glyphseek.errors import SettingError
from glyphseek.ports import FeatureStore, Model, VectorStore
from glyphseek.queries import parse_query
from glyphseek.ranking import ImageMatch, plan_query
from glyphseek.reranking import Reranker
from glyphseek.search.candidates import Candidate
from glyphseek.search.fetching import Fetcher
from glyphseek.search.job import Job
from glyphseek.search.matching import MatchRun
from glyphseek.search.reranking import RerankRun
from glyphseek.search.result import Degradation, Hit, SearchResult
from glyphseek.search.settings import SearchSettings
from glyphseek.search.stopwatch import Stopwatch
from glyphseek.types import FeatureKind, FloatArray, ModelCard


class Searcher:
    """Answers queries over one gallery. It keeps no state: it is as safe to share as what it was given."""

    def __init__(
        self,
        model: Model,
        vectors: VectorStore,
        features: FeatureStore,
        settings: SearchSettings | None = None,
        *,
        reranker: Reranker | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`reranker` is of the same model and features; without one, models with token maps answer by recall alone.

        `clock` returns seconds and is only used for the timings in results.
        """
        self._model = model
        self._vectors = vectors
        self._features = features
        self._settings = settings or SearchSettings()
        self._reranker = reranker
        self._clock = clock

    def search(
        self, query: str, *, top: int = 10, rerank: int | None = None, with_attention: bool = False
    ) -> SearchResult:
        """Return the `top` best hits, best first; images with an excluded word are left out.

        Candidates are the images that recall likes best for any required word of the query. With a model of instances
        they are matched exactly, until no other can be among the best. With a model of token maps the `rerank` best of
        recall (None: as the settings say, 0: none) are reranked and stand before all others; `with_attention` adds the
        maps to the hits. Where a blob cannot be used the image keeps its place in recall and the result says so.

        Raises QueryError for a query that cannot be asked, SettingError for `top` outside 1 to the settings' `max_top`
        or `rerank` outside 0 to `max_rerank` or asked of a model without token maps, and StoreError when the vector
        store fails.
        """
        if not 1 <= top <= self._settings.max_top:
            raise SettingError(f"top is {top}, it must be 1 to {self._settings.max_top}")
        depth = self._check_depth(rerank)
        expression = parse_query(query)
        card = self._model.card
        plan = plan_query(expression, max_term_characters=card.max_query_characters)
        watch = Stopwatch(self._clock)
        with watch.measure("encode"):
            terms = self._model.encode_terms(plan.terms)
        job = Job(
            card=card, vectors=self._vectors, settings=self._settings, plan=plan, terms=terms, top=top, watch=watch
        )
        best, degraded = self._find(job, depth)
        with watch.measure("match"):
            hits = describe_hits(job, best, with_attention=with_attention)
        return SearchResult(
            query=str(expression),
            hits=hits,
            confident=bool(hits) and hits[0].score >= threshold_of(card, hits[0]),
            degraded=degraded,
            timings=watch.read(),
        )

    def _find(self, job: Job, depth: int) -> tuple[list[tuple[Candidate, ImageMatch]], tuple[Degradation, ...]]:
        if FeatureKind.INSTANCES in job.card.features:
            fetcher = Fetcher(self._features, job.card.fingerprint)
            return MatchRun(job, fetcher).find(), fetcher.degradations()
        run = RerankRun(job, self._reranker, depth)
        return run.find(), run.degradations()

    def _check_depth(self, rerank: int | None) -> int:
        if rerank is None:
            return self._settings.rerank
        if rerank > 0 and self._reranker is None:
            raise SettingError(f"rerank is {rerank}, but {self._model.card.name} is not reranked: it must be 0")
        return self._settings.check_rerank(rerank)


def describe_hits(job: Job, best: Sequence[tuple[Candidate, ImageMatch]], *, with_attention: bool) -> tuple[Hit, ...]:
    """Return the hits of scored images in their order; one without a record was deleted since recall."""
    records = job.vectors.get([candidate.image_id for candidate, _ in best])
    return tuple(
        Hit(
            image_id=candidate.image_id,
            names=records[candidate.image_id].names,
            width=records[candidate.image_id].width,
            height=records[candidate.image_id].height,
            score=match.score,
            stages=candidate.stages,
            matches=match.matches,
            attention=_name_maps(job, candidate.attention) if with_attention else None,
        )
        for candidate, match in best
        if candidate.image_id in records
    )


def threshold_of(card: ModelCard, hit: Hit) -> float:
    """Return the score from which the hit is a confident match, by the calibration of the stage that scored it."""
    calibration = card.rerank_calibration if "rerank" in hit.stages else None
    return (calibration or card.calibration).threshold


def _name_maps(job: Job, attention: Sequence[FloatArray] | None) -> dict[str, FloatArray] | None:
    return None if attention is None else dict(zip(map(str, job.plan.terms), attention, strict=True))
