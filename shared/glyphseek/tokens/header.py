"""The header in front of every blob: what it holds, of which model, and a checksum over all of it.

Layout, little endian, 48 bytes; everything after the checksum, payload included, is under the checksum:

    magic 4s "GSFB" | crc32 u32 | version u16 | codec u8 | dtype u8 | kinds u8 | zero 3 bytes
    | fingerprint 16 bytes | global width u16 | instance width u16 | instances u32 | map rows u16 | map columns u16
    | token width u16 | zero u16

Magic, checksum and version keep their places in every later version, so that a blob of another version is told from
a damaged one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from glyphseek.errors import BlobDamaged, BlobForeign, InputError
from glyphseek.tokens.codecs import CODECS, CodecName

MAGIC = b"GSFB"
VERSION = 1

_LAYOUT = struct.Struct("<4sIHBBB3x16sHHIHHHH")
_CHECKED_FROM = 8
_HAS_GLOBAL, _HAS_INSTANCES, _HAS_TOKENS = 1, 2, 4
_LARGEST_SIDE, _MOST_INSTANCES = 2**16 - 1, 2**32 - 1

HEADER_BYTES = _LAYOUT.size
"""Length of the header; the payload starts here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobHeader:
    """What one blob holds. A kind of feature that is absent has None in place of its shape.

    global_width: D. instances_shape: (N, D). tokens_shape: (H, W, E). Widths and map sides are at most 65,535.
    `fingerprint` is the model's, 32 hex digits in lower case.
    """

    codec: CodecName
    fingerprint: str
    global_width: int | None
    instances_shape: tuple[int, int] | None
    tokens_shape: tuple[int, int, int] | None

    @property
    def payload_bytes(self) -> int:
        """Return the exact length of the payload that these shapes need."""
        size = CODECS[self.codec].size
        total = 0 if self.global_width is None else size(1, self.global_width)
        if self.instances_shape is not None:
            instances, width = self.instances_shape
            total += 20 * instances + size(instances, width)
        if self.tokens_shape is not None:
            rows, columns, width = self.tokens_shape
            total += 4 * rows * columns + size(rows * columns, width)
        return total


def join_blob(header: BlobHeader, payload: bytes) -> bytes:
    """Return header, checksum and payload as one blob. Raises InputError for a shape or fingerprint it cannot hold."""
    codec = CODECS[header.codec]
    instances, instance_width = header.instances_shape or (0, 0)
    sides = (header.global_width or 0, instance_width, *(header.tokens_shape or (0, 0, 0)))
    if max(sides) > _LARGEST_SIDE or instances > _MOST_INSTANCES:
        raise InputError(f"a blob holds widths and map sides up to {_LARGEST_SIDE}, these are {sides}")
    start = _LAYOUT.pack(
        MAGIC,
        0,
        VERSION,
        codec.code,
        codec.dtype_code,
        _kinds_of(header),
        parse_fingerprint(header.fingerprint),
        *sides[:2],
        instances,
        *sides[2:],
        0,
    )
    checked = start[_CHECKED_FROM:] + payload
    return MAGIC + struct.pack("<I", zlib.crc32(checked)) + checked


def read_header(blob: bytes) -> BlobHeader:
    """Return the header of a sound blob: magic, length and checksum were checked, and nothing was allocated for shapes.

    Raises BlobDamaged, or BlobForeign for a sound blob of another format version or with an unknown codec.
    """
    if len(blob) < HEADER_BYTES:
        raise BlobDamaged(f"blob has {len(blob)} bytes, its header alone has {HEADER_BYTES}")
    magic, crc, version, code, dtype_code, *rest = _LAYOUT.unpack_from(blob)
    if magic != MAGIC:
        raise BlobDamaged(f"blob starts with {magic!r}, expected {MAGIC!r}")
    codec = _name_codec(code, dtype_code)
    header = _parse(codec, *rest) if version == VERSION and codec is not None else None
    if header is not None and len(blob) != HEADER_BYTES + header.payload_bytes:
        raise BlobDamaged(f"blob has {len(blob)} bytes, its shapes need {HEADER_BYTES + header.payload_bytes}")
    found = zlib.crc32(memoryview(blob)[_CHECKED_FROM:])
    if found != crc:
        raise BlobDamaged(f"blob has checksum {found:08x}, its header states {crc:08x}")
    if version != VERSION:
        raise BlobForeign(f"blob has format version {version}, expected {VERSION}")
    if header is None:
        known = ", ".join(f"{known.code}/{known.dtype_code} ({name})" for name, known in CODECS.items())
        raise BlobForeign(f"blob has codec {code} with element type {dtype_code}, known are {known}")
    return header


def parse_fingerprint(fingerprint: str) -> bytes:
    """Return the 16 bytes of a fingerprint. Raises InputError unless it is 32 hex digits in lower case."""
    if len(fingerprint) != 32 or not set(fingerprint) <= set("0123456789abcdef"):
        raise InputError(f"model fingerprint is {fingerprint!r}, expected 32 hex digits in lower case")
    return bytes.fromhex(fingerprint)


def _kinds_of(header: BlobHeader) -> int:
    return (
        (_HAS_GLOBAL if header.global_width is not None else 0)
        | (_HAS_INSTANCES if header.instances_shape is not None else 0)
        | (_HAS_TOKENS if header.tokens_shape is not None else 0)
    )


def _parse(
    codec: CodecName,
    kinds: int,
    fingerprint: bytes,
    global_width: int,
    instance_width: int,
    instances: int,
    rows: int,
    columns: int,
    token_width: int,
    _zero: int,
) -> BlobHeader:
    return BlobHeader(
        codec=codec,
        fingerprint=fingerprint.hex(),
        global_width=global_width if kinds & _HAS_GLOBAL else None,
        instances_shape=(instances, instance_width) if kinds & _HAS_INSTANCES else None,
        tokens_shape=(rows, columns, token_width) if kinds & _HAS_TOKENS else None,
    )


def _name_codec(code: int, dtype_code: int) -> CodecName | None:
    for name, codec in CODECS.items():
        if (codec.code, codec.dtype_code) == (code, dtype_code):
            return name
    return None
