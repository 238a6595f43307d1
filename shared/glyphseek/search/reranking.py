"""The second stage of models with token maps: the best images of recall are reranked, the others stay behind them.

T terms, K reranked images, N regions of attention of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glyphseek.ranking import ABSENT_SIMILARITY, ImageMatch, QueryPlan, find_regions, forgive, fuse
from glyphseek.reranking import Reranker, Reranking, list_faults
from glyphseek.search.candidates import Candidate, candidate_of_recall
from glyphseek.search.job import Job
from glyphseek.search.result import Degradation
from glyphseek.types import Calibration, FloatArray, Fusion


class RerankRun:
    """Finds the best images of one job. Without a reranker, or with depth 0, recall has the last word."""

    def __init__(self, job: Job, reranker: Reranker | None, depth: int) -> None:
        self._job = job
        self._reranker = reranker
        self._depth = depth
        self._reranking: Reranking | None = None

    def find(self) -> list[tuple[Candidate, ImageMatch]]:
        """Return the best images: the reranked ones best first, then the others in the order of recall."""
        job = self._job
        with job.watch.measure("recall"):
            image_ids = [image_id for image_id, _ in job.recall_images(self._depth)]
        candidates = self._rerank(image_ids[: self._depth])
        with job.watch.measure("match"):
            reranked = self._score(candidates, job.card.rerank_calibration or job.card.calibration)
        done = {candidate.image_id for candidate in candidates}
        others = [one for one in image_ids if one not in done] if len(reranked) < job.top else []
        return [*reranked, *self._score_by_recall(others, reranked)][: job.top]

    def degradations(self) -> tuple[Degradation, ...]:
        """Return what the reranking went without: nothing, or one entry with every fault counted."""
        found = self._reranking
        if found is None or not found.faults:
            return ()
        return (Degradation(stage="rerank", reason=list_faults(found.faults), coverage=found.coverage),)

    def _rerank(self, image_ids: Sequence[str]) -> list[Candidate]:
        job = self._job
        if self._reranker is None or not image_ids:
            return []
        found = self._reranking = self._reranker.rerank(job.terms, image_ids, with_attention=True)
        job.watch.add("fetch", found.fetch_ms)
        job.watch.add("rerank", found.score_ms)
        with job.watch.measure("match"):
            return prepare_reranked(job.plan, found, job.card.fusion)

    def _score_by_recall(
        self, image_ids: Sequence[str], reranked: Sequence[tuple[Candidate, ImageMatch]]
    ) -> list[tuple[Candidate, ImageMatch]]:
        """Return the images as recall scores them, none above the lowest of the reranked."""
        job = self._job
        if not image_ids:
            return []
        with job.watch.measure("recall"):
            job.ask(job.every_row)
        with job.watch.measure("match"):
            scored = self._score([candidate_of_recall(job.recall, one) for one in image_ids], job.card.calibration)
        most = reranked[-1][1].score if reranked else 1.0
        return [(candidate, replace(match, score=min(match.score, most))) for candidate, match in scored]

    def _score(self, candidates: Sequence[Candidate], calibration: Calibration) -> list[tuple[Candidate, ImageMatch]]:
        """Return the candidates that score above 0, best first, equal scores by image id."""
        records = self._job.records_for_places([one.image_id for one in candidates])
        scored = [(one, self._job.match(one, records.get(one.image_id), calibration)) for one in candidates]
        return sorted(
            (pair for pair in scored if pair[1].score > 0), key=lambda pair: (-pair[1].score, pair[0].image_id)
        )


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
        best_T=similarities_TN.max(axis=1),
        boxes_N4=regions.boxes_N4,
        stages=("recall", "rerank"),
        told_TN=told_TN,
        attention=attention,
    )
