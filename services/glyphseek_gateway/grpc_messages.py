"""Questions and answers of the application as protobuf messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from glyphseek.api.v1 import ingest_service_pb2, search_service_pb2
from glyphseek.errors import GlyphseekError, InputError
from glyphseek.indexing import Removal
from glyphseek.metadata import NO_METADATA
from glyphseek.rpc import codec
from glyphseek.rpc.status import status_of
from glyphseek_gateway.asks import (
    AddedImage,
    BatchAnswer,
    Collection,
    HitAnswer,
    HitAsk,
    ImagePage,
    NewImage,
    SearchAnswer,
    SearchAsk,
)

_OUTCOMES = {
    "added": ingest_service_pb2.AddImagesResponse.OUTCOME_ADDED,
    "unchanged": ingest_service_pb2.AddImagesResponse.OUTCOME_UNCHANGED,
    "updated": ingest_service_pb2.AddImagesResponse.OUTCOME_UPDATED,
    "refused": ingest_service_pb2.AddImagesResponse.OUTCOME_REFUSED,
}


def read_search(request: search_service_pb2.SearchRequest) -> SearchAsk:
    """Return what is asked."""
    return SearchAsk(
        collection=request.collection,
        query=request.query,
        page_size=request.page_size if request.HasField("page_size") else None,
        page_token=request.page_token,
        rerank=request.rerank if request.HasField("rerank") else None,
        filter=request.filter,
        with_attention=request.with_attention,
    )


def write_answer(answer: SearchAnswer) -> search_service_pb2.SearchResponse:
    """Return a page of hits."""
    return search_service_pb2.SearchResponse(
        query=answer.query,
        hits=[codec.encode_hit(hit) for hit in answer.hits],
        confident=answer.confident,
        degraded=codec.encode_degradations(answer.degraded),
        timings=codec.encode_timings(answer.timings),
        next_page_token=answer.next_page_token,
        model=answer.model,
    )


def write_batch(answers: Sequence[BatchAnswer]) -> search_service_pb2.BatchSearchResponse:
    """Return what became of each search."""
    return search_service_pb2.BatchSearchResponse(
        results=[
            search_service_pb2.BatchSearchResult(error=_write_error(one))
            if isinstance(one, GlyphseekError)
            else search_service_pb2.BatchSearchResult(response=write_answer(one))
            for one in answers
        ]
    )


def read_hit_ask(request: search_service_pb2.GetHitRequest) -> HitAsk:
    """Return what is asked; an absent width of the picture is the usual one, 0 says so."""
    if request.HasField("picture_width") and request.picture_width == 0:
        raise InputError("picture_width is 0; leave it out for the usual width")
    return HitAsk(
        collection=request.collection,
        query=request.query,
        image_id=request.image_id,
        picture_width=request.picture_width if request.with_picture else None,
    )


def write_hit_answer(answer: HitAnswer) -> search_service_pb2.GetHitResponse:
    """Return one image as it answers a query."""
    return search_service_pb2.GetHitResponse(
        hit=codec.encode_hit(answer.hit), picture=answer.picture, degraded=codec.encode_degradations(answer.degraded)
    )


def read_new_image(request: ingest_service_pb2.AddImagesRequest) -> NewImage:
    """Return the photo that is to be added. One without bytes and address is an empty file."""
    try:
        metadata, fault = codec.decode_metadata(request.metadata), None
    except InputError as error:
        metadata, fault = NO_METADATA, error
    return NewImage(
        content=request.content,
        uri=request.uri,
        image_id=request.image_id,
        name=request.name or request.uri,
        metadata=metadata,
        fault=fault,
    )


def write_added(key: str, added: AddedImage) -> ingest_service_pb2.AddImagesResponse:
    """Return what became of a photo."""
    error = added.error
    return ingest_service_pb2.AddImagesResponse(
        request_key=key,
        image_id=added.image_id,
        outcome=_OUTCOMES[added.outcome],
        failure_kind="" if error is None else status_of(error).reason,
        failure_message="" if error is None else str(error),
    )


def write_removal(removal: Removal) -> ingest_service_pb2.DeleteImagesResponse:
    """Return which images are no more."""
    return ingest_service_pb2.DeleteImagesResponse(removed_ids=removal.removed_ids, unknown_ids=removal.unknown_ids)


def write_images(page: ImagePage) -> ingest_service_pb2.ListImagesResponse:
    """Return a page of images."""
    return ingest_service_pb2.ListImagesResponse(
        images=[codec.encode_record(one) for one in page.images], next_page_token=page.next_page_token
    )


def write_collection(collection: Collection) -> ingest_service_pb2.Collection:
    """Return a collection."""
    return ingest_service_pb2.Collection(
        name=collection.name,
        generations=[
            ingest_service_pb2.Generation(
                model_name=one.model, model_fingerprint=one.fingerprint, is_current=one.is_current
            )
            for one in collection.generations
        ],
    )


def _write_error(error: GlyphseekError) -> search_service_pb2.Error:
    row = status_of(error)
    number = cast("tuple[int, str]", row.code.value)[0]
    return search_service_pb2.Error(code=number, kind=row.reason, message=str(error))
