"""One search, from query to hits; it knows the model and the stores by their ports only.

T terms, Q query vectors (the variants of several terms), I candidate images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from glyphseek.errors import SettingError
from glyphseek.ports import FeatureStore, Model, VectorStore
from glyphseek.queries import parse_query
from glyphseek.ranking import ImageMatch, QueryPlan, bound_scores, match_image, plan_query
from glyphseek.search.candidates import Candidate, prepare_candidates
from glyphseek.search.fetching import Fetcher
from glyphseek.search.leaders import Leaders
from glyphseek.search.recall import Recall
from glyphseek.search.result import Hit, SearchResult
from glyphseek.search.settings import SearchSettings
from glyphseek.search.stopwatch import Stopwatch
from glyphseek.types import ImageRecord, TermFeatures


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

        Candidates are the images that recall likes best for any required word of the query; they are matched exactly,
        until no other can be among the best. Where a blob cannot be used the image keeps the score that recall gives it
        and the result says so. Raises QueryError for a query that cannot be asked, SettingError for `top` outside 1 to
        the settings' `max_top`, and StoreError when the vector store fails.
        """
        if not 1 <= top <= self._settings.max_top:
            raise SettingError(f"top is {top}, it must be 1 to {self._settings.max_top}")
        expression = parse_query(query)
        card = self._model.card
        plan = plan_query(expression, max_term_characters=card.max_query_characters)
        watch = Stopwatch(self._clock)
        with watch.measure("encode"):
            terms = self._model.encode_terms(plan.terms)
        fetcher = Fetcher(self._features, card.fingerprint)
        run = _Run(self._model, self._vectors, fetcher, self._settings, plan, terms, top, watch)
        hits = run.find_hits()
        return SearchResult(
            query=str(expression),
            hits=hits,
            confident=bool(hits) and hits[0].score >= card.calibration.threshold,
            degraded=fetcher.degradations(),
            timings=watch.read(),
        )


class _Run:
    """The state of one search."""

    def __init__(
        self,
        model: Model,
        vectors: VectorStore,
        fetcher: Fetcher,
        settings: SearchSettings,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        top: int,
        watch: Stopwatch,
    ) -> None:
        self._calibration = model.card.calibration
        self._vectors = vectors
        self._fetcher = fetcher
        self._settings = settings
        self._plan = plan
        self._terms = terms
        self._top = top
        self._watch = watch
        self._recall = Recall(plan)
        self._recalled: set[int] = set()
        self._leaders = Leaders(top)

    def find_hits(self) -> tuple[Hit, ...]:
        """Return the best hits: recall, then fetch and match in rounds, likeliest images first."""
        with self._watch.measure("recall"):
            self._recall_rows(self._plan.required_rows)
            bounded = self._recall.bound_images(self._calibration)[: max(self._settings.candidates, self._top)]
        start, size = 0, self._settings.round_images
        while start < len(bounded) and self._leaders.admit(bounded[start][1]):
            self._match_round([image_id for image_id, _ in bounded[start : start + size]])
            start, size = start + size, 2 * size
        with self._watch.measure("match"):
            return self._describe_best()

    def _recall_rows(self, rows: Sequence[int]) -> None:
        """Ask the store for the terms in `rows` that it was not asked for yet, in one call."""
        rows = [row for row in rows if row not in self._recalled]
        if not rows:
            return
        self._recalled.update(rows)
        ends = np.cumsum([0, *(len(self._terms[row].vectors_VD) for row in rows)]).tolist()
        limit = self._settings.rows_for(ends[-1], self._top)
        found = self._vectors.search(np.concatenate([self._terms[row].vectors_VD for row in rows]), limit)
        for row, (start, end) in zip(rows, pairwise(ends), strict=True):
            self._recall.add(row, found[start:end], limit)

    def _match_round(self, image_ids: Sequence[str]) -> None:
        with self._watch.measure("fetch"):
            features = self._fetcher.fetch(image_ids)
        if len(features) < len(image_ids):
            # Excluded words are told from blobs; rows of them are only needed for images without one.
            with self._watch.measure("recall"):
                self._recall_rows(range(len(self._plan.terms)))
        with self._watch.measure("match"):
            self._score(prepare_candidates(self._plan, self._terms, self._recall, image_ids, features))

    def _score(self, candidates: Sequence[Candidate]) -> None:
        """Score candidates, highest bound first, until none that is left can be among the best."""
        records = self._vectors.get([one.image_id for one in candidates]) if self._plan.has_phrases else {}
        best_TI = np.stack([one.best_T for one in candidates], axis=1)
        bounds_I = bound_scores(self._plan, best_TI, self._calibration)
        for place in np.argsort(-bounds_I, kind="stable"):
            if not self._leaders.admit(float(bounds_I[place])):
                return
            candidate = candidates[place]
            self._leaders.add(candidate, self._match(candidate, records.get(candidate.image_id)))

    def _match(self, candidate: Candidate, record: ImageRecord | None) -> ImageMatch:
        return match_image(
            self._plan,
            candidate.similarities_TN,
            candidate.boxes_N4,
            aspect=1.0 if record is None else record.width / record.height,
            calibration=self._calibration,
        )

    def _describe_best(self) -> tuple[Hit, ...]:
        """Return the hits of the best images; one without a record was deleted since recall."""
        best = self._leaders.best()
        records = self._vectors.get([candidate.image_id for candidate, _ in best])
        return tuple(
            Hit(
                image_id=candidate.image_id,
                names=records[candidate.image_id].names,
                width=records[candidate.image_id].width,
                height=records[candidate.image_id].height,
                score=match.score,
                stages=candidate.stages,
                matches=match.matches,
            )
            for candidate, match in best
            if candidate.image_id in records
        )
