"""Scores of token maps. T terms, K images, H and W rows and columns of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glyphseek.api.v1 import reranker_service_pb2 as pb
from glyphseek.api.v1 import types_pb2
from glyphseek.errors import InputError
from glyphseek.reranking import Reranking
from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.rpc.codec.terms import MOST_TERMS, decode_features, encode_features
from glyphseek.types import FloatArray, MapScores, TermFeatures

MOST_IMAGES = 512


def encode_rerank_request(
    fingerprint: str, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool
) -> pb.RerankRequest:
    """Return the request of scores by the model `fingerprint`."""
    return pb.RerankRequest(
        model=fingerprint,
        terms=[encode_features(term) for term in terms],
        image_ids=image_ids,
        with_attention=with_attention,
    )


def decode_rerank_request(request: pb.RerankRequest) -> tuple[list[TermFeatures], list[str]]:
    """Return the terms and image ids. Raises InputError past a bound and for damaged terms."""
    if not 1 <= len(request.terms) <= MOST_TERMS:
        raise InputError(f"{len(request.terms)} terms to rerank by, it must be 1 to {MOST_TERMS}")
    if len(request.image_ids) > MOST_IMAGES:
        raise InputError(f"{len(request.image_ids)} images to rerank, the limit is {MOST_IMAGES}")
    return [decode_features(term) for term in request.terms], list(request.image_ids)


def encode_reranking(reranking: Reranking) -> pb.RerankResponse:
    """Return the answer. Attention stays float32: places are cut out of it at half of its height, exactly."""
    maps_KTHW = zip(*(reranking.scores.attention or ()), strict=True)
    return pb.RerankResponse(
        image_ids=reranking.image_ids,
        cosines=encode_array(reranking.cosines_TK),
        probabilities=encode_array(reranking.scores.probabilities_TK),
        attention=[pb.AttentionMaps(maps=encode_array(np.stack(one))) for one in maps_KTHW],
        report=types_pb2.FetchReport(
            asked=reranking.asked,
            usable=len(reranking.image_ids),
            faults=encode_faults(reranking.faults),
            cache_hits=reranking.cache_hits,
            fetched_bytes=reranking.fetched_bytes,
            fetch_ms=reranking.fetch_ms,
            score_ms=reranking.score_ms,
        ),
    )


def decode_reranking(response: pb.RerankResponse, *, terms: int, with_attention: bool) -> Reranking:
    """Return the answer to a request with so many terms. Raises InputError where it does not fit the request."""
    shape = terms, len(response.image_ids)
    return Reranking(
        image_ids=tuple(response.image_ids),
        cosines_TK=decode_array(response.cosines, shape, name="cosines"),
        scores=MapScores(
            probabilities_TK=decode_array(response.probabilities, shape, name="probabilities"),
            attention=_decode_attention(response, terms) if with_attention else None,
        ),
        asked=response.report.asked,
        faults=decode_faults(response.report),
        fetch_ms=response.report.fetch_ms,
        score_ms=response.report.score_ms,
        cache_hits=response.report.cache_hits,
        fetched_bytes=response.report.fetched_bytes,
    )


def encode_faults(faults: Mapping[str, int]) -> list[types_pb2.Fault]:
    """Return the faults, by how many images have each."""
    return [types_pb2.Fault(reason=reason, images=count) for reason, count in faults.items()]


def decode_faults(report: types_pb2.FetchReport) -> dict[str, int]:
    """Return how many images have each fault."""
    return {fault.reason: fault.images for fault in report.faults}


def _decode_attention(response: pb.RerankResponse, terms: int) -> tuple[tuple[FloatArray, ...], ...]:
    if len(response.attention) != len(response.image_ids):
        raise InputError(f"{len(response.attention)} attention maps came for {len(response.image_ids)} images")
    maps = [decode_array(one.maps, (terms, None, None), name="attention") for one in response.attention]
    return tuple(tuple(one[term] for one in maps) for term in range(terms))
