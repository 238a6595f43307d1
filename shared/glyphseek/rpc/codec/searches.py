"""What a search answers, for the gateway, which writes pages of it, and for its callers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from glyphseek.api.v1 import search_service_pb2 as pb
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import InputError
from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.rpc.codec.images import decode_record, encode_record
from glyphseek.rpc.codec.matches import decode_term_match, encode_term_match
from glyphseek.search.result import Degradation, Hit, SearchResult, Stage, Timings


def decode_search_response(response: pb.SearchResponse) -> SearchResult:
    """Return the answer. Raises InputError for one that cannot be read."""
    return SearchResult(
        query=response.query,
        hits=tuple(decode_hit(hit) for hit in response.hits),
        confident=response.confident,
        degraded=decode_degradations(response.degraded),
        timings=decode_timings(response.timings),
    )


def encode_hit(hit: Hit) -> pb.Hit:
    """Return one image that answers; attention stays exact."""
    return pb.Hit(
        image=_encode_image(hit),
        score=hit.score,
        stages=hit.stages,
        matches=[encode_term_match(one) for one in hit.matches],
        attention={term: encode_array(map_HW) for term, map_HW in (hit.attention or {}).items()},
    )


def decode_hit(message: pb.Hit) -> Hit:
    """Return one image that answers. Raises InputError for unknown stages and damaged maps."""
    record = decode_record(message.image)
    attention = {
        term: decode_array(map_HW, (None, None), name="attention") for term, map_HW in message.attention.items()
    }
    return Hit(
        image_id=record.image_id,
        names=record.names,
        width=record.width,
        height=record.height,
        score=message.score,
        stages=tuple(_decode_stage(stage) for stage in message.stages),
        matches=tuple(decode_term_match(one) for one in message.matches),
        attention=attention or None,
        record=record,
    )


def encode_degradations(degraded: Sequence[Degradation]) -> list[pb.Degradation]:
    """Return the stages that did not do all of their work."""
    return [pb.Degradation(stage=one.stage, reason=one.reason, coverage=one.coverage) for one in degraded]


def decode_degradations(messages: Sequence[pb.Degradation]) -> tuple[Degradation, ...]:
    """Return the stages that did not do all of their work. Raises InputError for unknown ones."""
    return tuple(
        Degradation(stage=_decode_stage(one.stage), reason=one.reason, coverage=one.coverage) for one in messages
    )


def encode_timings(timings: Timings) -> pb.Timings:
    """Return the milliseconds of each stage."""
    return pb.Timings(
        encode_ms=timings.encode_ms,
        recall_ms=timings.recall_ms,
        fetch_ms=timings.fetch_ms,
        rerank_ms=timings.rerank_ms,
        match_ms=timings.match_ms,
    )


def decode_timings(message: pb.Timings) -> Timings:
    """Return the milliseconds of each stage."""
    return Timings(
        encode_ms=message.encode_ms,
        recall_ms=message.recall_ms,
        fetch_ms=message.fetch_ms,
        rerank_ms=message.rerank_ms,
        match_ms=message.match_ms,
    )


def _encode_image(hit: Hit) -> types_pb2.ImageRecord:
    """Return what is known of the image; without its record only what a hit shows."""
    if hit.record is not None:
        return encode_record(hit.record)
    return types_pb2.ImageRecord(image_id=hit.image_id, names=hit.names, width=hit.width, height=hit.height)


def _decode_stage(name: str) -> Stage:
    if name not in get_args(Stage):
        raise InputError(f"{name!r} is no stage of a search")
    return cast(Stage, name)
