"""Values as protobuf messages and back, for servicers and clients alike. What arrives is checked: InputError."""

from glyphseek.rpc.codec.arrays import decode_array, encode_array
from glyphseek.rpc.codec.cards import decode_card, encode_card
from glyphseek.rpc.codec.matches import decode_box, decode_term_match, encode_box, encode_term_match
from glyphseek.rpc.codec.rerankings import (
    decode_faults,
    decode_rerank_request,
    decode_reranking,
    encode_faults,
    encode_rerank_request,
    encode_reranking,
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
    "decode_array",
    "decode_box",
    "decode_card",
    "decode_faults",
    "decode_features",
    "decode_plan",
    "decode_rerank_request",
    "decode_reranking",
    "decode_term",
    "decode_term_match",
    "encode_array",
    "encode_box",
    "encode_card",
    "encode_faults",
    "encode_features",
    "encode_plan",
    "encode_rerank_request",
    "encode_reranking",
    "encode_term",
    "encode_term_match",
]
