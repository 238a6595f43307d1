"""The header in front of every blob: what it holds, of which model, and a checksum over all of it.

Layout of version 3, little endian, 80 bytes; everything after the checksum, payload included, is under the checksum:

    magic 4s "GSFB" | crc32 u32 | version u16 | codec u8 | dtype u8 | kinds u8 | zero 3 bytes
    | fingerprint 16 bytes | codebook 16 bytes, zero for none | global width u16 | instance width u16 | instances u32
    | map rows u16 | map columns u16 | token width u16 | stored width u16 | kept tokens u32
    | letter columns u16 | letter signs u16 | zero 8 bytes

Version 2 has the same without letters: zero 12 bytes at the end. Version 1 has 48 bytes: the same up to the
fingerprint, then global width to token width and two zero bytes. Magic, checksum and version keep their places in every
later version, so that a blob of another version is told from a damaged one.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from zlib_ng import zlib_ng

from glyphseek.errors import BlobDamaged, BlobForeign, InputError
from glyphseek.tokens.codecs import CODECS, CodecName
from glyphseek.tokens.layout import HEADER_BYTES, BlobHeader

MAGIC = b"GSFB"

_START = struct.Struct("<4sIH")
_VERSION = struct.Struct("<HBB")
# From the version on, where the checksum begins.
_LAYOUT_1 = struct.Struct("<HBBB3x16sHHIHHHH")
_LAYOUT_3 = struct.Struct("<HBBB3x16s16sHHIHHHHIHH8x")
_CHECKED_FROM = 8
_HAS_GLOBAL, _HAS_INSTANCES, _HAS_TOKENS, _HAS_LIKELIHOOD, _IS_MASKED, _HAS_LETTERS = 1, 2, 4, 8, 16, 32
_LARGEST_SIDE, _LARGEST_COUNT = 2**16 - 1, 2**32 - 1
_NO_CODEBOOK = bytes(16)
_NAMES = {(codec.code, codec.dtype_code): name for name, codec in CODECS.items()}


def join_blob(header: BlobHeader, payload: bytes) -> bytes:
    """Return header, checksum and payload as one blob. Raises InputError for a shape or fingerprint it cannot hold."""
    checked = _checked_of(header) + payload
    return MAGIC + struct.pack("<I", zlib_ng.crc32(checked)) + checked


def read_header(blob: bytes) -> BlobHeader:
    """Return the header of a sound blob: magic, length and checksum were checked, and nothing was allocated for shapes.

    Raises BlobDamaged, or BlobForeign for a sound blob of another format version or with an unknown codec.
    """
    if len(blob) < HEADER_BYTES[1]:
        raise BlobDamaged(f"blob has {len(blob)} bytes, its header alone has {HEADER_BYTES[1]}")
    magic, crc, version = _START.unpack_from(blob)
    if magic != MAGIC:
        raise BlobDamaged(f"blob starts with {magic!r}, expected {MAGIC!r}")
    header_bytes = HEADER_BYTES.get(version, 0)
    if len(blob) < header_bytes:
        raise BlobDamaged(f"blob has {len(blob)} bytes, its header alone has {header_bytes}")
    header, is_consistent = _parse(blob[_CHECKED_FROM:header_bytes])
    if header is not None and len(blob) != header.sections.end:
        raise BlobDamaged(f"blob has {len(blob)} bytes, its shapes need {header.sections.end}")
    found = zlib_ng.crc32(memoryview(blob)[_CHECKED_FROM:])
    if found != crc:
        raise BlobDamaged(f"blob has checksum {found:08x}, its header states {crc:08x}")
    if version not in HEADER_BYTES:
        raise BlobForeign(f"blob has format version {version}, expected {' or '.join(map(str, HEADER_BYTES))}")
    if header is None:
        _, code, dtype_code = _VERSION.unpack_from(blob, _CHECKED_FROM)
        known = ", ".join(f"{known.code}/{known.dtype_code} ({name})" for name, known in CODECS.items())
        raise BlobForeign(f"blob has codec {code} with element type {dtype_code}, known are {known}")
    if not is_consistent:
        raise BlobDamaged("blob has a header that contradicts itself")
    return header


def read_header_of(blob: bytes, fingerprint: str) -> BlobHeader:
    """Return the header of a sound blob of the model `fingerprint`.

    Raises as `read_header`, BlobForeign for another model, and InputError when `fingerprint` has not the form of one.
    """
    header = read_header(blob)
    if header.fingerprint != fingerprint:
        parse_fingerprint(fingerprint)
        raise BlobForeign(f"blob is of model {header.fingerprint}, expected {fingerprint}")
    return header


def parse_fingerprint(fingerprint: str) -> bytes:
    """Return the 16 bytes of a fingerprint. Raises InputError unless it is 32 hex digits in lower case."""
    if len(fingerprint) != 32 or not set(fingerprint) <= set("0123456789abcdef"):
        raise InputError(f"model fingerprint is {fingerprint!r}, expected 32 hex digits in lower case")
    return bytes.fromhex(fingerprint)


def _checked_of(header: BlobHeader) -> bytes:
    """Return the header's bytes under the checksum, of version 2 or the one that is written."""
    codec = CODECS[header.codec]
    instances, instance_width = header.instances_shape or (0, 0)
    map_sides = header.tokens_shape or (0, 0, 0)
    letters = header.letters_shape or (0, 0)
    sides = (header.global_width or 0, instance_width, *map_sides, header.stored_width or 0, *letters)
    if max(sides) > _LARGEST_SIDE or max(instances, header.stored_tokens) > _LARGEST_COUNT:
        raise InputError(f"a blob holds widths and map sides up to {_LARGEST_SIDE}, these are {sides}")
    return _LAYOUT_3.pack(
        header.version,
        codec.code,
        codec.dtype_code,
        _kinds_of(header),
        parse_fingerprint(header.fingerprint),
        _NO_CODEBOOK if header.codebook is None else parse_fingerprint(header.codebook),
        *sides[:2],
        instances,
        *sides[2:6],
        header.kept_tokens or 0,
        *letters,
    )


def _kinds_of(header: BlobHeader) -> int:
    return (
        (_HAS_GLOBAL if header.global_width is not None else 0)
        | (_HAS_INSTANCES if header.instances_shape is not None else 0)
        | (_HAS_TOKENS if header.tokens_shape is not None else 0)
        | (_HAS_LIKELIHOOD if header.has_likelihood else 0)
        | (_IS_MASKED if header.kept_tokens is not None else 0)
        | (_HAS_LETTERS if header.letters_shape is not None else 0)
    )


@lru_cache(maxsize=1024)
def _parse(checked: bytes) -> tuple[BlobHeader | None, bool]:
    """Return what the bytes of a header under the checksum state, and whether they agree with each other.

    None when they have no sense in their version. Headers of one model differ by counts alone, so that of thousands of
    blobs few are parsed. Raises BlobDamaged for what no blob can be.
    """
    if not checked:
        return None, True
    version, code, dtype_code = _VERSION.unpack_from(checked)
    codec = _NAMES.get((code, dtype_code))
    if codec is None:
        return None, True
    if version == 1:
        return _parse_1(checked, codec), True
    header = _parse_3(checked, version, codec)
    return header, _checked_of(header) == checked


def _parse_1(checked: bytes, codec: CodecName) -> BlobHeader | None:
    _, _, _, kinds, fingerprint, *sides, _ = _LAYOUT_1.unpack(checked)
    global_width, instance_width, instances, rows, columns, token_width = sides
    has_tokens = bool(kinds & _HAS_TOKENS)
    if codec not in (CodecName.FP16, CodecName.INT8):
        return None
    return BlobHeader(
        version=1,
        codec=codec,
        fingerprint=fingerprint.hex(),
        global_width=global_width if kinds & _HAS_GLOBAL else None,
        instances_shape=(instances, instance_width) if kinds & _HAS_INSTANCES else None,
        tokens_shape=(rows, columns, token_width) if has_tokens else None,
        stored_width=token_width if has_tokens else None,
        has_likelihood=has_tokens,
    )


def _parse_3(checked: bytes, version: int, codec: CodecName) -> BlobHeader:
    _, _, _, kinds, fingerprint, codebook, *sides, kept, columns, signs = _LAYOUT_3.unpack(checked)
    global_width, instance_width, instances, rows, map_columns, token_width, stored_width = sides
    has_tokens = bool(kinds & _HAS_TOKENS)
    header = BlobHeader(
        version=version,
        codec=codec,
        fingerprint=fingerprint.hex(),
        global_width=global_width if kinds & _HAS_GLOBAL else None,
        instances_shape=(instances, instance_width) if kinds & _HAS_INSTANCES else None,
        letters_shape=(columns, signs) if kinds & _HAS_LETTERS else None,
        tokens_shape=(rows, map_columns, token_width) if has_tokens else None,
        stored_width=stored_width if has_tokens else None,
        kept_tokens=kept if kinds & _IS_MASKED else None,
        has_likelihood=bool(kinds & _HAS_LIKELIHOOD),
        codebook=None if codebook == _NO_CODEBOOK else codebook.hex(),
    )
    if not _is_possible(header):
        raise BlobDamaged("blob has a header that contradicts itself")
    return header


def _is_possible(header: BlobHeader) -> bool:
    if header.letters_shape is not None and (header.version < 3 or header.instances_shape is None):
        return False
    if header.tokens_shape is None:
        return header.kept_tokens is None and not header.has_likelihood and header.codebook is None
    needs_codebook = CODECS[header.codec].residual_bits is not None or header.stored_width != header.tokens_shape[2]
    return header.stored_tokens <= header.cells and (header.codebook is not None or not needs_codebook)
