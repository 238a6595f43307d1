"""Query terms to encode, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from glyphseek.api.v1 import encoder_service_pb2 as pb
from glyphseek.errors import InputError, QueryError
from glyphseek.queries import Term
from glyphseek.rpc.codec.terms import MOST_TERMS, decode_features, decode_term, encode_features, encode_term
from glyphseek.types import TermFeatures


def encode_queries_request(fingerprint: str, terms: Sequence[Term]) -> pb.EncodeQueriesRequest:
    """Return the request to encode terms with the model `fingerprint`."""
    return pb.EncodeQueriesRequest(model=fingerprint, terms=[encode_term(term) for term in terms])


def decode_queries_request(request: pb.EncodeQueriesRequest) -> list[Term]:
    """Return the terms. Raises QueryError for none, too many and impossible ones."""
    if not 1 <= len(request.terms) <= MOST_TERMS:
        raise QueryError(f"{len(request.terms)} terms to encode, it must be 1 to {MOST_TERMS}")
    return [decode_term(term) for term in request.terms]


def encode_queries_response(fingerprint: str, features: Sequence[TermFeatures]) -> pb.EncodeQueriesResponse:
    """Return what the model `fingerprint` makes of each term."""
    return pb.EncodeQueriesResponse(model=fingerprint, terms=[encode_features(one) for one in features])


def decode_queries_response(
    response: pb.EncodeQueriesResponse, *, fingerprint: str, terms: int, width: int
) -> list[TermFeatures]:
    """Return what was made of so many terms. Raises InputError for an answer of another model or another length."""
    if response.model != fingerprint:
        raise InputError(f"the answer is of model {response.model}, asked was {fingerprint}")
    if len(response.terms) != terms:
        raise InputError(f"{len(response.terms)} answers came for {terms} terms")
    return [decode_features(one, width=width) for one in response.terms]
