"""The codecs by name: how vectors are stored, how tokens are, and in how many bytes.

Global and instance vectors go through a vector codec (fp32, fp16 or int8). Tokens of a map go through the same one, or
are stored as residuals to the centroids of a codebook (`residual`), which vectors never are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from glyphseek.errors import SettingError
from glyphseek.tokens import fp16, fp32, int8, residual
from glyphseek.types import FloatArray


class CodecName(StrEnum):
    """Single and half precision; eight bits and a scale for each vector; four or two bits beside a centroid."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    RESIDUAL4 = "residual4"
    RESIDUAL2 = "residual2"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorCodec:
    """One way to store vectors that needs nothing but the vectors.

    size(rows, width) is the exact byte count; encode takes (R, D) finite float32; decode takes a buffer of exactly
    that size, with rows and width, and returns (R, D) float32 that shares no memory with it.
    """

    size: Callable[[int, int], int]
    encode: Callable[[FloatArray], bytes]
    decode: Callable[[memoryview, int, int], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way to store an image's features. `code` and `dtype_code` stand for it in a header and are never reused.

    `vectors` stores the vectors, and the tokens too unless `residual_bits` says that these are kept as centroid and
    residual with so many bits a component, for which a codebook is needed.
    """

    code: int
    dtype_code: int
    vectors: VectorCodec
    residual_bits: int | None = None

    def token_bytes(self, tokens: int, width: int) -> int:
        """Return how many bytes so many tokens of the stored `width` take."""
        if self.residual_bits is None:
            return self.vectors.size(tokens, width)
        return residual.size(tokens, width, self.residual_bits)


_SINGLES = VectorCodec(size=fp32.size, encode=fp32.encode, decode=fp32.decode)
_HALVES = VectorCodec(size=fp16.size, encode=fp16.encode, decode=fp16.decode)
_BYTES = VectorCodec(size=int8.size, encode=int8.encode, decode=int8.decode)

CODECS: Mapping[CodecName, Codec] = MappingProxyType(
    {
        CodecName.FP32: Codec(code=5, dtype_code=5, vectors=_SINGLES),
        CodecName.FP16: Codec(code=1, dtype_code=1, vectors=_HALVES),
        CodecName.INT8: Codec(code=2, dtype_code=2, vectors=_BYTES),
        CodecName.RESIDUAL4: Codec(code=3, dtype_code=3, vectors=_HALVES, residual_bits=4),
        CodecName.RESIDUAL2: Codec(code=4, dtype_code=4, vectors=_HALVES, residual_bits=2),
    }
)
"""Every codec; element types are 1 for float16, 2 for int8, 3 for four bits, 4 for two bits, 5 for float32."""


def find_codec(name: str) -> Codec:
    """Return the codec called `name`. Raises SettingError that lists the known ones."""
    for known, codec in CODECS.items():
        if known == name:
            return codec
    raise SettingError(f"unknown codec {name!r}, known are {', '.join(CODECS)}")
