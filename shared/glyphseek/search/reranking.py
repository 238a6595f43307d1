"""The second stage of models with token maps: the best images of recall are reranked, the others stay behind them.

T terms, K reranked images, N regions of attention of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glyphseek.fetching import list_faults
from glyphseek.ranking import ABSENT_SIMILARITY, QueryPlan, find_regions, forgive, fuse
from glyphseek.reranking import Reranking
from glyphseek.search.candidates import Candidate, candidate_of_recall
from glyphseek.search.job import Job
from glyphseek.search.result import Degradation
from glyphseek.search.scored import Scored, order_scored
from glyphseek.search.stages import STAGE_ERRORS, RerankStage, name_failure
from glyphseek.tracing import span
from glyphseek.types import Calibration, FloatArray, Fusion


class RerankRun:
    """Finds the best images of one job. Without a reranker, or with depth 0, recall has the last word."""

    def __init__(self, job: Job, reranker: RerankStage | None, depth: int) -> None:
        self._job = job
        self._reranker = reranker
        self._depth = depth
        self._degraded: tuple[Degradation, ...] = ()

    def find(self) -> list[Scored]:
        """Return the best images: the reranked ones best first, then the others in the order of recall."""
        job = self._job
        with job.watch.measure("recall"):
            image_ids = [image_id for image_id, _ in job.recall_images(self._depth)]
        candidates = self._rerank(image_ids[: self._depth])
        with job.watch.measure("match"):
            reranked = order_scored(self._score(candidates, self._calibration))
        done = {candidate.image_id for candidate in candidates}
        others = [one for one in image_ids if one not in done] if len(reranked) < job.top else []
        return [*reranked, *self._score_by_recall(others, reranked)][: job.top]

    def look(self, image_id: str) -> Scored:
        """Return one image with its score, whatever it is."""
        if not (candidates := self._rerank([image_id])):
            return self._job.score_by_recall(image_id)
        with self._job.watch.measure("match"):
            return self._score(candidates, self._calibration)[0]

    def degradations(self) -> tuple[Degradation, ...]:
        """Return what the reranking went without: nothing, or one entry with every fault counted."""
        return self._degraded

    @property
    def _calibration(self) -> Calibration:
        return self._job.card.rerank_calibration or self._job.card.calibration

    def _rerank(self, image_ids: Sequence[str]) -> list[Candidate]:
        job = self._job
        if self._reranker is None or not image_ids:
            return []
        with job.watch.measure("rerank"):
            found = self._ask(self._reranker, image_ids)
        if found is None:
            return []
        job.watch.move("fetch", of="rerank", milliseconds=found.fetch_ms)
        with job.watch.measure("match"):
            return prepare_reranked(job.plan, found, job.card.fusion)

    def _ask(self, reranker: RerankStage, image_ids: Sequence[str]) -> Reranking | None:
        try:
            with span("search.rerank", images=len(image_ids)):
                found = reranker.rerank(self._job.terms, image_ids, with_attention=True)
        except STAGE_ERRORS as error:
            self._degraded = (Degradation(stage="rerank", reason=name_failure(error), coverage=0.0),)
            return None
        if found.faults:
            reason = list_faults(found.faults)
            self._degraded = (Degradation(stage="rerank", reason=reason, coverage=found.coverage),)
        return found

    def _score_by_recall(self, image_ids: Sequence[str], reranked: Sequence[Scored]) -> list[Scored]:
        """Return the images as recall scores them, none above the lowest of the reranked."""
        job = self._job
        if not image_ids:
            return []
        with job.watch.measure("recall"):
            job.ask(job.every_row)
        with job.watch.measure("match"):
            candidates = [candidate_of_recall(job.recall, one) for one in image_ids]
            scored = order_scored(self._score(candidates, job.card.calibration))
        most = reranked[-1].match.score if reranked else 1.0
        return [replace(one, match=replace(one.match, score=min(one.match.score, most))) for one in scored]

    def _score(self, candidates: Sequence[Candidate], calibration: Calibration) -> list[Scored]:
        aspects = self._job.aspects([one.image_id for one in candidates])
        return [self._job.score(one, aspects, calibration) for one in candidates]


def prepare_reranked(plan: QueryPlan, found: Reranking, fusion: Fusion) -> list[Candidate]:
    """Return the reranked images with the regions of their attention maps as instances. Needs attention."""
    attention_KT = list(zip(*(found.scores.attention or ()), strict=True))
    probabilities_KT, cosines_KT = found.scores.probabilities_TK.T, found.cosines_TK.T
    images = zip(found.image_ids, attention_KT, cosines_KT, probabilities_KT, strict=True)
    return [_make_candidate(plan, *image, fusion=fusion) for image in images]


def _make_candidate(
    plan: QueryPlan,
    image_id: str,
    attention: tuple[FloatArray, ...],
    cosines_T: FloatArray,
    probabilities_T: FloatArray,
    *,
    fusion: Fusion,
) -> Candidate:
    """Return one image: a term is in its own regions, as probably as attention is high there.

    Regions of excluded terms count for the others too: where `coffee` is as much at home as `coffees`, it is no
    evidence of `coffees`. Those of required terms do not, so that two terms never answer with one place seen twice.
    """
    regions = find_regions(attention)
    told_TN = probabilities_T[:, None] * regions.shares_TN
    fused_TN = fuse(np.broadcast_to(cosines_T[:, None], told_TN.shape), told_TN, fusion)
    similarities_TN = np.stack([forgive(row_N, term) for row_N, term in zip(fused_TN, plan.terms, strict=True)])
    is_own_TN = regions.owners_N == np.arange(len(plan.terms))[:, None]
    is_open_N = ~np.isin(regions.owners_N, plan.required_rows)
    similarities_TN[~(is_own_TN | is_open_N)] = ABSENT_SIMILARITY
    return Candidate(
        image_id=image_id,
        similarities_TN=similarities_TN,
        boxes_N4=regions.boxes_N4,
        stages=("recall", "rerank"),
        told_TN=told_TN,
        attention=attention,
    )
