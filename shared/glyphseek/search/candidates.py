"""Candidate images with the similarities that they are scored by. T terms, N instances of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glyphseek.ranking import QueryPlan, term_similarities
from glyphseek.search.recall import Recall
from glyphseek.search.result import Stage
from glyphseek.types import FloatArray, ImageFeatures, Instances, TermFeatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One image to score: exactly (boxes_N4 is given), or by what recall said of it. best_T is over its instances.

    Of a reranked image, the instances are regions of attention; told_TN is what matches say of them, and attention has
    the map (H, W) of each term.
    """

    image_id: str
    similarities_TN: FloatArray
    best_T: FloatArray
    boxes_N4: FloatArray | None
    stages: tuple[Stage, ...]
    told_TN: FloatArray | None = None
    attention: tuple[FloatArray, ...] | None = None


def prepare_candidates(
    plan: QueryPlan,
    terms: Sequence[TermFeatures],
    recall: Recall,
    image_ids: Sequence[str],
    features: dict[str, ImageFeatures],
) -> list[Candidate]:
    """Return the candidates in the order of their ids, so that equal bounds are scored in it."""
    exact = {one: found for one, feature in features.items() if (found := feature.instances) is not None}
    similarities = _exact_similarities(plan, terms, list(exact.values()))
    return sorted(
        [
            *(
                _make_candidate(image_id, similarities_TN, instances.boxes_N4)
                for (image_id, instances), similarities_TN in zip(exact.items(), similarities, strict=True)
            ),
            *(candidate_of_recall(recall, one) for one in image_ids if one not in exact),
        ],
        key=lambda candidate: candidate.image_id,
    )


def candidate_of_recall(recall: Recall, image_id: str) -> Candidate:
    """Return an image with what its rows say of it."""
    return _make_candidate(image_id, recall.similarities(image_id), None)


def _make_candidate(image_id: str, similarities_TN: FloatArray, boxes_N4: FloatArray | None) -> Candidate:
    return Candidate(
        image_id=image_id,
        similarities_TN=similarities_TN,
        best_T=similarities_TN.max(axis=1, initial=-1.0),
        boxes_N4=boxes_N4,
        stages=("recall",) if boxes_N4 is None else ("recall", "match"),
    )


def _exact_similarities(
    plan: QueryPlan, terms: Sequence[TermFeatures], instances: Sequence[Instances]
) -> list[FloatArray]:
    """Return the (T, N) similarities of each image, computed for all of them at once."""
    if not instances:
        return []
    joined = term_similarities(plan.terms, terms, np.concatenate([one.vectors_ND for one in instances]))
    ends = np.cumsum([len(one) for one in instances])[:-1]
    return np.split(joined, ends, axis=1)
