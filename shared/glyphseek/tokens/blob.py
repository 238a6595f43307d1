"""One image's features to one blob and back.

Payload order: tokens, text likelihood and mask of the map; then the global vector; then boxes, scores, vectors and
letters of the instances. Boxes, scores (float32) and letters (eight bits) are exact in every codec, likelihood has
eight bits, the rest goes through the codec. Vectors that are of unit norm by contract (global and instances) are
normalised again after decoding; tokens are not.
"""

from __future__ import annotations

import math

import numpy as np

from glyphseek.errors import InputError
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.codecs import CODECS, CodecName, find_codec
from glyphseek.tokens.encoding import EncodedMap, encode_map
from glyphseek.tokens.header import join_blob, read_header, read_header_of
from glyphseek.tokens.layout import BlobHeader, Sections
from glyphseek.tokens.packed import PackedTokens, view_tokens
from glyphseek.tokens.units import read_unit, read_units
from glyphseek.types import FloatArray, ImageFeatures, Instances, LetterArray, TokenMap


def pack(
    features: ImageFeatures,
    *,
    codec: CodecName,
    fingerprint: str,
    codebook: TokenCodebook | None = None,
    keep_likelihood: float = 0.0,
) -> bytes:
    """Return the features as one blob of model `fingerprint` (32 hex digits in lower case); absent kinds stay absent.

    A `codebook` with a projection narrows the tokens in every codec; residual codecs need one with centroids. Tokens of
    a text likelihood below `keep_likelihood` are not stored (the likeliest always is); 0 stores all. Raises InputError
    for shapes that disagree, a value that is not finite, or one that the codec cannot hold, and SettingError for an
    unknown codec or one that needs a codebook that is not given.
    """
    encode = find_codec(codec).vectors.encode
    parts: list[bytes] = []
    encoded: EncodedMap | None = None
    vector_D, instances, token_map = features.global_vector_D, features.instances, features.token_map
    if token_map is not None:
        encoded = encode_map(
            _checked_map(token_map), codec=CodecName(codec), codebook=codebook, keep_likelihood=keep_likelihood
        )
        parts += [encoded.payload]
    if vector_D is not None:
        parts += [encode(_checked(vector_D, (None,), "global vector")[None, :])]
    if instances is not None:
        count = len(instances)
        parts += [
            _as_bytes(_checked(instances.boxes_N4, (count, 4), "boxes")),
            _as_bytes(_checked(instances.scores_N, (count,), "scores")),
            encode(_checked(instances.vectors_ND, (count, None), "instance vectors")),
        ]
        if instances.letters_NSA is not None:
            parts += [_checked_letters(instances.letters_NSA, count).tobytes()]
    header = BlobHeader(
        codec=CodecName(codec),
        fingerprint=fingerprint,
        global_width=None if vector_D is None else len(vector_D),
        instances_shape=None if instances is None else (len(instances), instances.vectors_ND.shape[1]),
        letters_shape=_letters_shape(instances),
        tokens_shape=None if token_map is None else _triple(token_map.tokens_HWE.shape),
        stored_width=None if encoded is None else encoded.stored_width,
        kept_tokens=None if encoded is None else encoded.kept_tokens,
        has_likelihood=encoded is not None and encoded.has_likelihood,
        codebook=None if encoded is None else encoded.codebook,
    )
    return join_blob(header, b"".join(parts))


def unpack(blob: bytes, *, fingerprint: str, codebook: TokenCodebook | None = None) -> ImageFeatures:
    """Return the features of a blob written by the model `fingerprint`, as float32 arrays that do not share its memory.

    Tokens that were not stored return as zeros of likelihood 0. Raises BlobDamaged, or BlobForeign when it is sound but
    of another version, codec, model or codebook; InputError when `fingerprint` itself has not the form of one.
    """
    header = read_header_of(blob, fingerprint)
    vectors = _read_vectors(blob, header)
    if header.tokens_shape is None:
        return vectors
    token_map = _spread_map(view_tokens(blob, header, codebook))
    return ImageFeatures(global_vector_D=vectors.global_vector_D, instances=vectors.instances, token_map=token_map)


def unpack_vectors(blob: bytes, *, fingerprint: str) -> ImageFeatures:
    """Return the global vector and the instances alone, without a token map, for which no codebook is needed.

    Raises as `unpack` does.
    """
    return _read_vectors(blob, read_header_of(blob, fingerprint))


def inspect(blob: bytes) -> BlobHeader:
    """Return what a sound blob holds, of whichever model, without decoding it. Raises BlobDamaged or BlobForeign."""
    return read_header(blob)


def _read_vectors(blob: bytes, header: BlobHeader) -> ImageFeatures:
    buffer, sections, codec = memoryview(blob), header.sections, CODECS[header.codec].vectors
    global_vector_D = None
    if header.global_width is not None:
        global_vector_D = read_unit(buffer[sections.global_vector], codec, header.global_width)
    return ImageFeatures(
        global_vector_D=global_vector_D,
        instances=None if header.instances_shape is None else _read_instances(buffer, header, sections),
    )


def _read_instances(buffer: memoryview, header: BlobHeader, sections: Sections) -> Instances:
    count, width = header.instances_shape or (0, 0)
    codec = CODECS[header.codec].vectors
    return Instances(
        vectors_ND=read_units(buffer[sections.instance_vectors], codec, count, width),
        boxes_N4=_read_exact(buffer[sections.boxes], count, 4),
        scores_N=_read_exact(buffer[sections.scores], count),
        letters_NSA=_read_letters(buffer[sections.letters], count, header.letters_shape),
    )


def _read_letters(buffer: memoryview, count: int, shape: tuple[int, int] | None) -> LetterArray | None:
    return None if shape is None else np.frombuffer(buffer, dtype=np.uint8).reshape(count, *shape).copy()


def _read_exact(buffer: memoryview, *shape: int) -> FloatArray:
    return np.frombuffer(buffer, dtype="<f4", count=math.prod(shape)).astype(np.float32).reshape(shape)


def _spread_map(packed: PackedTokens) -> TokenMap:
    rows, columns, width = packed.shape
    tokens_NE = packed.decode()
    if packed.kept_N is not None:
        kept_NE, tokens_NE = tokens_NE, np.zeros((rows * columns, width), dtype=np.float32)
        tokens_NE[packed.kept_N] = kept_NE
    return TokenMap(
        tokens_HWE=tokens_NE.reshape(rows, columns, width),
        text_likelihood_HW=packed.spread(packed.decode_likelihood()),
    )


def _checked_map(token_map: TokenMap) -> TokenMap:
    tokens_HWE = _checked(token_map.tokens_HWE, (None, None, None), "tokens")
    _checked(token_map.text_likelihood_HW, tokens_HWE.shape[:2], "text likelihood")
    return token_map


def _checked(array: FloatArray, shape: tuple[int | None, ...], what: str) -> FloatArray:
    agrees = array.ndim == len(shape) and all(
        wanted in (None, side) for side, wanted in zip(array.shape, shape, strict=True)
    )
    if not agrees:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise InputError(f"{what} have shape {array.shape}, expected ({wanted})")
    if not np.isfinite(array).all():
        raise InputError(f"{what} hold a value that is not finite")
    return array


def _checked_letters(letters_NSA: LetterArray, count: int) -> LetterArray:
    if letters_NSA.dtype != np.uint8 or letters_NSA.ndim != 3 or len(letters_NSA) != count:
        raise InputError(
            f"letters have shape {letters_NSA.shape} of {letters_NSA.dtype}, expected ({count}, any, any) of uint8"
        )
    return letters_NSA


def _letters_shape(instances: Instances | None) -> tuple[int, int] | None:
    if instances is None or instances.letters_NSA is None:
        return None
    _, columns, signs = instances.letters_NSA.shape
    return columns, signs


def _as_bytes(array: FloatArray) -> bytes:
    return array.astype("<f4").tobytes()


def _triple(shape: tuple[int, ...]) -> tuple[int, int, int]:
    rows, columns, width = shape
    return rows, columns, width
