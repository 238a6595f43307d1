"""Values as protobuf messages and back, for servicers and clients alike. What arrives is checked: InputError."""

from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.rpc.codec.cards import decode_card, encode_card
from glyphseek.rpc.codec.images import (
    MOST_FILES,
    decode_images_request,
    decode_images_response,
    decode_metadata,
    decode_record,
    encode_images_request,
    encode_images_response,
    encode_metadata,
    encode_record,
)
from glyphseek.rpc.codec.matches import decode_box, decode_term_match, encode_box, encode_term_match
from glyphseek.rpc.codec.matchings import (
    MatchQuestion,
    decode_match_request,
    decode_matching,
    encode_match_request,
    encode_matching,
)
from glyphseek.rpc.codec.queries import (
    decode_queries_request,
    decode_queries_response,
    encode_queries_request,
    encode_queries_response,
)
from glyphseek.rpc.codec.rerankings import (
    decode_faults,
    decode_rerank_request,
    decode_reranking,
    encode_faults,
    encode_rerank_request,
    encode_reranking,
)
from glyphseek.rpc.codec.searches import (
    decode_degradations,
    decode_hit,
    decode_search_response,
    decode_timings,
    encode_degradations,
    encode_hit,
    encode_timings,
)
from glyphseek.rpc.codec.terms import (
    decode_features,
    decode_plan,
    decode_term,
    encode_features,
    encode_plan,
    encode_term,
)

__all__ = [
    "MOST_FILES",
    "MatchQuestion",
    "decode_array",
    "decode_box",
    "decode_card",
    "decode_degradations",
    "decode_faults",
    "decode_features",
    "decode_hit",
    "decode_images_request",
    "decode_images_response",
    "decode_match_request",
    "decode_matching",
    "decode_metadata",
    "decode_plan",
    "decode_queries_request",
    "decode_queries_response",
    "decode_record",
    "decode_rerank_request",
    "decode_reranking",
    "decode_search_response",
    "decode_term",
    "decode_term_match",
    "decode_timings",
    "encode_array",
    "encode_box",
    "encode_card",
    "encode_degradations",
    "encode_faults",
    "encode_features",
    "encode_hit",
    "encode_images_request",
    "encode_images_response",
    "encode_match_request",
    "encode_matching",
    "encode_metadata",
    "encode_plan",
    "encode_queries_request",
    "encode_queries_response",
    "encode_record",
    "encode_rerank_request",
    "encode_reranking",
    "encode_term",
    "encode_term_match",
    "encode_timings",
]
