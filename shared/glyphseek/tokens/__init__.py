"""Image features as bytes: one self-checking blob per image, one codec per file, one header."""

from glyphseek.tokens.blob import inspect, pack, unpack, unpack_vectors
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.codecs import CodecName
from glyphseek.tokens.layout import BlobHeader
from glyphseek.tokens.packed import PackedTokens, open_tokens
from glyphseek.tokens.packed_instances import PackedInstances, open_instances

__all__ = [
    "BlobHeader",
    "CodecName",
    "PackedInstances",
    "PackedTokens",
    "TokenCodebook",
    "inspect",
    "open_instances",
    "open_tokens",
    "pack",
    "unpack",
    "unpack_vectors",
]
