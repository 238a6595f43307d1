"""What one search is about, and the rows it has asked for so far. T terms, V variants of a term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from glyphseek.filters import Filter
from glyphseek.ports import VectorStore
from glyphseek.ranking import QueryPlan, match_image
from glyphseek.search.candidates import Candidate, candidate_of_recall
from glyphseek.search.recall import Recall
from glyphseek.search.scored import Scored
from glyphseek.search.settings import SearchSettings
from glyphseek.search.stopwatch import Stopwatch
from glyphseek.tracing import span
from glyphseek.types import Calibration, ModelCard, TermFeatures


@dataclass(slots=True, kw_only=True)
class Job:
    """One search: `top` hits for the `plan` of a query whose T terms are encoded as `terms`.

    Only images whose metadata `where` matches are recalled; None recalls all.
    """

    card: ModelCard
    vectors: VectorStore
    settings: SearchSettings
    plan: QueryPlan
    terms: Sequence[TermFeatures]
    top: int
    watch: Stopwatch
    where: Filter | None = None
    recall: Recall = field(init=False)
    _asked_rows: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.recall = Recall(self.plan)

    @property
    def every_row(self) -> range:
        """Return the rows of all terms, excluded ones too."""
        return range(len(self.plan.terms))

    def ask(self, rows: Sequence[int]) -> None:
        """Ask the vector store for the terms in `rows` that it was not asked for yet, in one call."""
        rows = [row for row in rows if row not in self._asked_rows]
        if not rows:
            return
        self._asked_rows.update(rows)
        ends = np.cumsum([0, *(len(self.terms[row].vectors_VD) for row in rows)]).tolist()
        limit = self.settings.rows_for(ends[-1], self.top)
        vectors_QD = np.concatenate([self.terms[row].vectors_VD for row in rows])
        with span("search.recall", vectors=len(vectors_QD), limit=limit):
            found = self.vectors.search(vectors_QD, limit, where=self.where)
        for row, (start, end) in zip(rows, pairwise(ends), strict=True):
            self.recall.add(row, found[start:end], limit)

    def recall_images(self, least: int = 0) -> list[tuple[str, float]]:
        """Return the images that recall likes best with the score they cannot pass, highest first, ties by id.

        They are as many as the settings say, but at least `least` and the hits asked for.
        """
        self.ask(self.plan.required_rows)
        bounded = self.recall.bound_images(self.card.calibration)
        return bounded[: max(self.settings.candidates, self.top, least)]

    def aspects(self, image_ids: Sequence[str]) -> dict[str, float]:
        """Return width / height of the images where the shape of the photo counts, none where it does not."""
        if not self.plan.has_phrases:
            return {}
        return {one: record.width / record.height for one, record in self.vectors.get(image_ids).items()}

    def score(self, candidate: Candidate, aspects: Mapping[str, float], calibration: Calibration) -> Scored:
        """Return how well a candidate answers the query; one that `aspects` does not name counts as square."""
        match = match_image(
            self.plan,
            candidate.similarities_TN,
            candidate.boxes_N4,
            aspect=aspects.get(candidate.image_id, 1.0),
            calibration=calibration,
            is_coarse=candidate.attention is not None,
            told_TN=candidate.told_TN,
        )
        return Scored(image_id=candidate.image_id, match=match, stages=candidate.stages, attention=candidate.attention)

    def score_by_recall(self, image_id: str) -> Scored:
        """Return how well an image answers the query by what its rows say, were they among those that recall found."""
        with self.watch.measure("recall"):
            self.ask(self.every_row)
        with self.watch.measure("match"):
            candidate = candidate_of_recall(self.recall, image_id)
            return self.score(candidate, self.aspects([image_id]), self.card.calibration)
