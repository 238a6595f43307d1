"""One search, from query to hits; it knows the model and the stores by their ports only.

T terms, Q query vectors (the variants of all terms), I candidate images, D width.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from glyphseek.errors import SettingError
from glyphseek.ports import FeatureStore, Model, VectorStore
from glyphseek.queries import parse_query
from glyphseek.ranking import ImageMatch, QueryPlan, bound_scores, match_image, plan_query
from glyphseek.search.candidates import Candidate, prepare_candidates
from glyphseek.search.fetching import fetch_features
from glyphseek.search.recall import Recall, gather
from glyphseek.search.result import Hit, SearchResult, Timings
from glyphseek.search.settings import SearchSettings
from glyphseek.types import ImageRecord, TermFeatures

_ROUNDING = 1.001  # bounds and scores multiply the same float32 probabilities in another order


class Searcher:
    """Answers queries over one gallery. It keeps no state: it is as safe to share as its model and stores are."""

    def __init__(
        self,
        model: Model,
        vectors: VectorStore,
        features: FeatureStore,
        settings: SearchSettings | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock` returns seconds and is only used for the timings in results."""
        self._model = model
        self._vectors = vectors
        self._features = features
        self._settings = settings or SearchSettings()
        self._clock = clock

    def search(self, query: str, *, top: int = 10) -> SearchResult:
        """Return the `top` best hits, best first, equal scores by image id; images with an excluded word are left out.

        Candidates are the images that recall likes best for any required word of the query; they are matched exactly.
        Where a blob cannot be used the image keeps the score that recall gives it and the result says so. Raises
        QueryError for a query that cannot be asked, SettingError for `top` outside 1 to the settings' `max_top`, and
        StoreError when the vector store fails.
        """
        if not 1 <= top <= self._settings.max_top:
            raise SettingError(f"top is {top}, it must be 1 to {self._settings.max_top}")
        expression = parse_query(query)
        plan = plan_query(expression, max_term_characters=self._model.card.max_query_characters)
        started = self._clock()
        terms = self._model.encode_terms(plan.terms)
        encoded = self._clock()
        recall, image_ids = self._recall(plan, terms, top)
        recalled = self._clock()
        fetched = fetch_features(self._features, image_ids, self._model.card.fingerprint)
        unpacked = self._clock()
        hits = self._match(plan, prepare_candidates(plan, terms, recall, image_ids, fetched.features), top)
        ended = self._clock()
        return SearchResult(
            query=str(expression),
            hits=hits,
            confident=bool(hits) and hits[0].score >= self._model.card.calibration.threshold,
            degraded=() if fetched.degraded is None else (fetched.degraded,),
            timings=Timings(
                encode_ms=1000 * (encoded - started),
                recall_ms=1000 * (recalled - encoded),
                fetch_ms=1000 * (unpacked - recalled),
                match_ms=1000 * (ended - unpacked),
            ),
        )

    def _recall(self, plan: QueryPlan, terms: Sequence[TermFeatures], top: int) -> tuple[Recall, list[str]]:
        vectors_QD = np.concatenate([term.vectors_VD for term in terms])
        limit = self._settings.rows_for(len(vectors_QD), top)
        rows = self._vectors.search(vectors_QD, limit)
        ends = np.cumsum([0, *(len(term.vectors_VD) for term in terms)]).tolist()
        recall = gather(plan, [rows[start:end] for start, end in pairwise(ends)], limit)
        return recall, recall.best(max(self._settings.candidates, top), self._model.card.calibration)

    def _match(self, plan: QueryPlan, candidates: Sequence[Candidate], top: int) -> tuple[Hit, ...]:
        records = self._vectors.get([one.image_id for one in candidates]) if plan.has_phrases else {}
        best = _take_best(self._score(plan, candidates, records, top), top)
        missing = [candidate.image_id for candidate, _ in best if candidate.image_id not in records]
        records |= self._vectors.get(missing) if missing else {}
        # An image without a record was deleted since recall.
        return tuple(
            _describe(candidate, match, records[candidate.image_id])
            for candidate, match in best
            if candidate.image_id in records
        )

    def _score(
        self, plan: QueryPlan, candidates: Sequence[Candidate], records: dict[str, ImageRecord], top: int
    ) -> Iterator[tuple[Candidate, ImageMatch]]:
        """Yield candidates with their match until none that is left can be among the `top` best."""
        calibration = self._model.card.calibration
        best_TI = np.array([one.best_T for one in candidates], dtype=np.float32).reshape(-1, len(plan.terms)).T
        bounds_I = bound_scores(plan, best_TI, calibration)
        kept: list[float] = []
        for place in np.argsort(-bounds_I, kind="stable"):
            if len(kept) == top and bounds_I[place] * _ROUNDING < kept[0]:
                return
            candidate = candidates[place]
            record = records.get(candidate.image_id)
            aspect = 1.0 if record is None else record.width / record.height
            match = match_image(
                plan, candidate.similarities_TN, candidate.boxes_N4, aspect=aspect, calibration=calibration
            )
            if match.score > 0.0:
                _keep(kept, match.score, top)
                yield candidate, match


def _keep(kept: list[float], score: float, top: int) -> None:
    if len(kept) < top:
        heapq.heappush(kept, score)
    else:
        heapq.heappushpop(kept, score)


def _take_best(scored: Iterator[tuple[Candidate, ImageMatch]], top: int) -> list[tuple[Candidate, ImageMatch]]:
    return heapq.nsmallest(top, scored, key=lambda pair: (-pair[1].score, pair[0].image_id))


def _describe(candidate: Candidate, match: ImageMatch, record: ImageRecord) -> Hit:
    return Hit(
        image_id=candidate.image_id,
        names=record.names,
        width=record.width,
        height=record.height,
        score=match.score,
        stages=candidate.stages,
        matches=match.matches,
    )
