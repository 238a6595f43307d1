"""Answers of the application as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from glyphseek.errors import GlyphseekError
from glyphseek.indexing import Removal
from glyphseek.ranking import TermMatch
from glyphseek.rpc.status import status_of
from glyphseek.search import Degradation, Hit
from glyphseek.types import ImageRecord
from glyphseek_gateway import http_bodies as bodies
from glyphseek_gateway.asks import AddedImage, BatchAnswer, Collection, HitAnswer, ImagePage, SearchAnswer, record_of
from glyphseek_gateway.readiness import Report


def write_answer(answer: SearchAnswer) -> bodies.SearchAnswerBody:
    """Return a page of hits."""
    times = answer.timings
    return bodies.SearchAnswerBody(
        query=answer.query,
        hits=[write_hit(hit) for hit in answer.hits],
        confident=answer.confident,
        degraded=write_degraded(answer.degraded),
        timings=bodies.TimingsBody(
            encode_ms=times.encode_ms,
            recall_ms=times.recall_ms,
            fetch_ms=times.fetch_ms,
            rerank_ms=times.rerank_ms,
            match_ms=times.match_ms,
        ),
        next_page_token=answer.next_page_token,
        model=answer.model,
    )


def write_batch(answers: Sequence[BatchAnswer]) -> bodies.BatchAnswerBody:
    """Return what became of each search."""
    return bodies.BatchAnswerBody(
        results=[
            bodies.BatchResultBody(error=write_error(one))
            if isinstance(one, GlyphseekError)
            else bodies.BatchResultBody(response=write_answer(one))
            for one in answers
        ]
    )


def write_hit_answer(answer: HitAnswer) -> bodies.HitAnswerBody:
    """Return one image as it answers a query."""
    return bodies.HitAnswerBody(hit=write_hit(answer.hit), degraded=write_degraded(answer.degraded))


def write_hit(hit: Hit) -> bodies.HitBody:
    """Return one hit."""
    maps = None if hit.attention is None else {term: map_HW.tolist() for term, map_HW in hit.attention.items()}
    return bodies.HitBody(
        image=write_image(record_of(hit)),
        score=hit.score,
        stages=list(hit.stages),
        matches=[_write_match(match) for match in hit.matches],
        attention=maps,
    )


def write_degraded(degraded: Sequence[Degradation]) -> list[bodies.DegradationBody]:
    """Return the stages that did not do all of their work."""
    return [bodies.DegradationBody(stage=one.stage, reason=one.reason, coverage=one.coverage) for one in degraded]


def write_image(record: ImageRecord) -> bodies.ImageBody:
    """Return what is known of an image."""
    return bodies.ImageBody(
        image_id=record.image_id,
        content_hash=record.content_hash,
        names=list(record.names),
        width=record.width,
        height=record.height,
        instance_count=record.instance_count,
        metadata=dict(record.metadata),
    )


def write_added(added: Sequence[AddedImage]) -> bodies.AddedImagesBody:
    """Return what became of photos."""
    return bodies.AddedImagesBody(
        images=[
            bodies.AddedImageBody(
                image_id=one.image_id,
                outcome=one.outcome,
                error=None if one.error is None else write_error(one.error),
            )
            for one in added
        ]
    )


def write_removal(removal: Removal) -> bodies.RemovalBody:
    """Return which images are no more."""
    return bodies.RemovalBody(removed_ids=list(removal.removed_ids), unknown_ids=list(removal.unknown_ids))


def write_images(page: ImagePage) -> bodies.ImagePageBody:
    """Return a page of images."""
    return bodies.ImagePageBody(images=[write_image(one) for one in page.images], next_page_token=page.next_page_token)


def write_collection(collection: Collection) -> bodies.CollectionBody:
    """Return a collection."""
    return bodies.CollectionBody(
        name=collection.name,
        generations=[
            bodies.GenerationBody(model_name=one.model, model_fingerprint=one.fingerprint, is_current=one.is_current)
            for one in collection.generations
        ],
    )


def write_error(error: GlyphseekError) -> bodies.ErrorBody:
    """Return why one of several things failed."""
    row = status_of(error)
    return bodies.ErrorBody(kind=row.reason, message=str(error), status=row.http)


def _write_match(match: TermMatch) -> bodies.TermMatchBody:
    box = None
    if match.box is not None:
        left, top, right, bottom = match.box
        box = bodies.BoxBody(left=left, top=top, right=right, bottom=bottom)
    return bodies.TermMatchBody(term=match.term, similarity=match.similarity, instance=match.instance, box=box)


def write_report(report: Report) -> bodies.ReadinessBody:
    """Return how the parts that searches need are doing."""
    found = [
        bodies.DependencyBody(
            name=one.name, is_ready=one.is_ready, is_essential=one.is_essential, ms=one.ms, reason=one.reason
        )
        for one in report.dependencies
    ]
    return bodies.ReadinessBody(is_ready=report.is_ready, dependencies=found)
