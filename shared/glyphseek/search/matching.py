"""The second stage of models with instances: blobs are fetched in rounds and matched exactly, likeliest first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glyphseek.ranking import ImageMatch, bound_scores
from glyphseek.search.candidates import Candidate, prepare_candidates
from glyphseek.search.fetching import Fetcher
from glyphseek.search.job import Job
from glyphseek.search.leaders import Leaders


class MatchRun:
    """Finds the best images of one job."""

    def __init__(self, job: Job, fetcher: Fetcher) -> None:
        self._job = job
        self._fetcher = fetcher
        self._leaders = Leaders(job.top)

    def find(self) -> list[tuple[Candidate, ImageMatch]]:
        """Return the best images, best first, equal scores by image id; no other image could be among them."""
        with self._job.watch.measure("recall"):
            bounded = self._job.recall_images()
        start, size = 0, self._job.settings.round_images
        while start < len(bounded) and self._leaders.admit(bounded[start][1]):
            self._match_round([image_id for image_id, _ in bounded[start : start + size]])
            start, size = start + size, 2 * size
        return self._leaders.best()

    def _match_round(self, image_ids: Sequence[str]) -> None:
        job = self._job
        with job.watch.measure("fetch"):
            features = self._fetcher.fetch(image_ids)
        if len(features) < len(image_ids):
            # Excluded words are told from blobs; rows of them are only needed for images without one.
            with job.watch.measure("recall"):
                job.ask(job.every_row)
        with job.watch.measure("match"):
            self._score(prepare_candidates(job.plan, job.terms, job.recall, image_ids, features))

    def _score(self, candidates: Sequence[Candidate]) -> None:
        """Score candidates, highest bound first, until none that is left can be among the best."""
        job = self._job
        records = job.records_for_places([one.image_id for one in candidates])
        best_TI = np.stack([one.best_T for one in candidates], axis=1)
        bounds_I = bound_scores(job.plan, best_TI, job.card.calibration)
        for place in np.argsort(-bounds_I, kind="stable"):
            if not self._leaders.admit(float(bounds_I[place])):
                return
            candidate = candidates[place]
            record = records.get(candidate.image_id)
            self._leaders.add(candidate, job.match(candidate, record, job.card.calibration))
