"""Scored images to hits."""

from __future__ import annotations

from collections.abc import Sequence

from glyphseek.search.job import Job
from glyphseek.search.result import Hit
from glyphseek.search.scored import Scored
from glyphseek.tracing import span
from glyphseek.types import FloatArray, ImageRecord, ModelCard


def describe_hits(job: Job, best: Sequence[Scored], *, with_attention: bool) -> tuple[Hit, ...]:
    """Return the hits of scored images in their order; one without a record was deleted since recall."""
    with job.watch.measure("match"), span("search.describe", images=len(best)):
        records = job.vectors.get([one.image_id for one in best])
        known = [(one, records[one.image_id]) for one in best if one.image_id in records]
        return tuple(_describe(job, one, record, with_attention=with_attention) for one, record in known)


def threshold_of(card: ModelCard, hit: Hit) -> float:
    """Return the score from which the hit is a confident match, by the calibration of the stage that scored it."""
    calibration = card.rerank_calibration if "rerank" in hit.stages else None
    return (calibration or card.calibration).threshold


def _describe(job: Job, scored: Scored, record: ImageRecord, *, with_attention: bool) -> Hit:
    return Hit(
        image_id=scored.image_id,
        names=record.names,
        width=record.width,
        height=record.height,
        score=scored.match.score,
        stages=scored.stages,
        matches=scored.match.matches,
        attention=_name_maps(job, scored.attention) if with_attention else None,
        record=record,
    )


def _name_maps(job: Job, attention: Sequence[FloatArray] | None) -> dict[str, FloatArray] | None:
    return None if attention is None else dict(zip(map(str, job.plan.terms), attention, strict=True))
