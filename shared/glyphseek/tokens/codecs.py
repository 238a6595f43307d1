"""The codecs by name. A codec stores R rows of width D in a number of bytes that depends on R and D alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from glyphseek.errors import SettingError
from glyphseek.tokens import fp16, int8
from glyphseek.types import FloatArray


class CodecName(StrEnum):
    """How vectors are stored: half precision, or eight bits with a scale for each vector."""

    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way to store vectors. `code` and `dtype_code` stand for it in a header and are never used again for another.

    size(rows, width) is the exact byte count; encode takes (R, D) finite float32; decode takes a buffer of exactly
    that size, with rows and width, and returns (R, D) float32 that shares no memory with it.
    """

    code: int
    dtype_code: int
    size: Callable[[int, int], int]
    encode: Callable[[FloatArray], bytes]
    decode: Callable[[memoryview, int, int], FloatArray]


CODECS: Mapping[CodecName, Codec] = MappingProxyType(
    {
        CodecName.FP16: Codec(code=1, dtype_code=1, size=fp16.size, encode=fp16.encode, decode=fp16.decode),
        CodecName.INT8: Codec(code=2, dtype_code=2, size=int8.size, encode=int8.encode, decode=int8.decode),
    }
)
"""Every codec; element types are 1 for float16 and 2 for int8."""


def find_codec(name: str) -> Codec:
    """Return the codec called `name`. Raises SettingError that lists the known ones."""
    for known, codec in CODECS.items():
        if known == name:
            return codec
    raise SettingError(f"unknown codec {name!r}, known are {', '.join(CODECS)}")
