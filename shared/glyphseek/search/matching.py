"""The second stage of models with instances: images are matched exactly in rounds, likeliest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from glyphseek.fetching import list_faults
from glyphseek.matching import MatchCandidate
from glyphseek.ranking import bound_scores
from glyphseek.search.candidates import candidate_of_recall
from glyphseek.search.job import Job
from glyphseek.search.result import Degradation
from glyphseek.search.scored import Leaders, Scored
from glyphseek.search.stages import STAGE_ERRORS, MatchStage, name_failure
from glyphseek.tracing import span


class MatchRun:
    """Finds the best images of one job. What the matcher cannot do, or everything without one, is done by recall.

    A matcher that does not answer is not asked again.
    """

    def __init__(self, job: Job, matcher: MatchStage | None) -> None:
        self._job = job
        self._matcher = matcher
        self._leaders = Leaders(job.top)
        self._asked = 0
        self._unusable = 0
        self._faults: Counter[str] = Counter()
        self._failure: str | None = None

    def find(self) -> list[Scored]:
        """Return the best images, best first, equal scores by image id.

        No other image could be among them; where letters decide, no other of those that recall likes best.
        """
        with self._job.watch.measure("recall"):
            bounded = self._job.recall_images()
        start, size = 0, self._first_round(len(bounded))
        while start < len(bounded) and self._leaders.admit(bounded[start][1]):
            self._score([image_id for image_id, _ in bounded[start : start + size]])
            start, size = start + size, 2 * size
        return self._leaders.best()

    def _first_round(self, images: int) -> int:
        """Return how many images are matched at first: all where letters decide, which vectors do not bound."""
        return images if self._job.card.letters is not None else self._job.settings.round_images

    def look(self, image_id: str) -> Scored:
        """Return one image with its score, whatever it is."""
        matched, left = self._match([image_id], top=0)
        return matched[0] if matched else self._job.score_by_recall(left[0])

    def degradations(self) -> tuple[Degradation, ...]:
        """Return what the matching of this search went without: nothing, or one entry with all reasons."""
        reasons = [list_faults(self._faults)] if self._faults else []
        reasons += [self._failure] if self._failure is not None else []
        if not reasons:
            return ()
        coverage = 1.0 - self._unusable / self._asked
        return (Degradation(stage="match", reason="; ".join(reasons), coverage=coverage),)

    def _score(self, image_ids: Sequence[str]) -> None:
        matched, left = self._match(image_ids, top=self._job.top)
        for one in matched:
            self._leaders.add(one)
        if left:
            self._score_by_recall(left)

    def _match(self, image_ids: Sequence[str], *, top: int) -> tuple[list[Scored], Sequence[str]]:
        """Return the matched images that may be among the `top` best, and the ids of those that were not matched."""
        if self._matcher is None:
            return [], image_ids
        job = self._job
        left: Sequence[str] = image_ids
        matched: list[Scored] = []
        with job.watch.measure("match"):
            if self._failure is None:
                matched, left = self._ask(self._matcher, image_ids, top)
        self._asked += len(image_ids)
        self._unusable += len(left)
        return matched, left

    def _ask(self, matcher: MatchStage, image_ids: Sequence[str], top: int) -> tuple[list[Scored], Sequence[str]]:
        job = self._job
        aspects = job.aspects(image_ids)
        candidates = [MatchCandidate(image_id=one, aspect=aspects.get(one, 1.0)) for one in image_ids]
        try:
            with span("search.match", images=len(candidates)):
                found = matcher.match(job.plan, job.terms, candidates, top=top, least_score=self._leaders.least_score)
        except STAGE_ERRORS as error:
            self._failure = name_failure(error)
            return [], image_ids
        job.watch.move("fetch", of="match", milliseconds=found.fetch_ms)
        self._faults.update(found.faults)
        matched = [Scored(image_id=one.image_id, match=one.match, stages=("recall", "match")) for one in found.images]
        return matched, found.unusable_ids

    def _score_by_recall(self, image_ids: Sequence[str]) -> None:
        """Score images by their rows, highest bound first, until none that is left can be among the best."""
        job = self._job
        # Excluded words are told from blobs; rows of them are only needed for images without one.
        with job.watch.measure("recall"):
            job.ask(job.every_row)
        with job.watch.measure("match"):
            candidates = [candidate_of_recall(job.recall, one) for one in sorted(image_ids)]
            best_TI = np.stack([one.best_T for one in candidates], axis=1)
            bounds_I = bound_scores(job.plan, best_TI, job.card.calibration)
            aspects = job.aspects(image_ids)
            for place in np.argsort(-bounds_I, kind="stable"):
                if not self._leaders.admit(float(bounds_I[place])):
                    return
                self._leaders.add(job.score(candidates[place], aspects, job.card.calibration))
