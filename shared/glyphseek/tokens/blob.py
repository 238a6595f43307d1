"""One image's features to one blob and back.

Payload order: the global vector; then boxes, scores and vectors of the instances; then text likelihood and tokens of
the map. Boxes, scores and likelihood are float32 and exact in every codec, the rest goes through the codec. Vectors
that are of unit norm by contract (global and instances) are normalised again after decoding.
"""

from __future__ import annotations

import math

import numpy as np

from glyphseek.errors import BlobForeign, InputError
from glyphseek.tokens.codecs import CODECS, CodecName, find_codec
from glyphseek.tokens.header import HEADER_BYTES, BlobHeader, join_blob, parse_fingerprint, read_header
from glyphseek.types import FloatArray, ImageFeatures, Instances, TokenMap

_SMALLEST_NORM = np.float32(1e-30)


def pack(features: ImageFeatures, *, codec: CodecName, fingerprint: str) -> bytes:
    """Return the features as one blob of model `fingerprint` (32 hex digits in lower case); absent kinds stay absent.

    Raises InputError for shapes that disagree, a value that is not finite, or one that the codec cannot hold, and
    SettingError for an unknown codec.
    """
    encode = find_codec(codec).encode
    parts: list[bytes] = []
    vector_D, instances, token_map = features.global_vector_D, features.instances, features.token_map
    if vector_D is not None:
        parts += [encode(_checked(vector_D, (None,), "global vector")[None, :])]
    if instances is not None:
        count = len(instances)
        parts += [
            _as_bytes(_checked(instances.boxes_N4, (count, 4), "boxes")),
            _as_bytes(_checked(instances.scores_N, (count,), "scores")),
            encode(_checked(instances.vectors_ND, (count, None), "instance vectors")),
        ]
    if token_map is not None:
        tokens_HWE = _checked(token_map.tokens_HWE, (None, None, None), "tokens")
        rows, columns, width = tokens_HWE.shape
        parts += [
            _as_bytes(_checked(token_map.text_likelihood_HW, (rows, columns), "text likelihood")),
            encode(tokens_HWE.reshape(rows * columns, width)),
        ]
    header = BlobHeader(
        codec=CodecName(codec),
        fingerprint=fingerprint,
        global_width=None if vector_D is None else len(vector_D),
        instances_shape=None if instances is None else (len(instances), instances.vectors_ND.shape[1]),
        tokens_shape=None if token_map is None else _triple(token_map.tokens_HWE.shape),
    )
    return join_blob(header, b"".join(parts))


def unpack(blob: bytes, *, fingerprint: str) -> ImageFeatures:
    """Return the features of a blob written by the model `fingerprint`, as float32 arrays that do not share its memory.

    Raises BlobDamaged, or BlobForeign when it is sound but of another version, codec or model; InputError when
    `fingerprint` itself has not the form of one.
    """
    header = read_header(blob)
    if header.fingerprint != fingerprint:
        parse_fingerprint(fingerprint)
        raise BlobForeign(f"blob is of model {header.fingerprint}, expected {fingerprint}")
    reader = _PayloadReader(blob, header.codec)
    return ImageFeatures(
        global_vector_D=None if header.global_width is None else reader.read_units(1, header.global_width)[0],
        instances=None if header.instances_shape is None else _read_instances(reader, *header.instances_shape),
        token_map=None if header.tokens_shape is None else _read_token_map(reader, *header.tokens_shape),
    )


def inspect(blob: bytes) -> BlobHeader:
    """Return what a sound blob holds, of whichever model, without decoding it. Raises BlobDamaged or BlobForeign."""
    return read_header(blob)


class _PayloadReader:
    """Walks once over the payload of a checked blob; every read is of a size that the header announced."""

    def __init__(self, blob: bytes, codec: CodecName) -> None:
        self._blob = memoryview(blob)
        self._place = HEADER_BYTES
        self._codec = CODECS[codec]

    def read_exact(self, *shape: int) -> FloatArray:
        """Return the next array that was stored as float32."""
        buffer = self._take(4 * math.prod(shape))
        return np.frombuffer(buffer, dtype="<f4").astype(np.float32).reshape(shape)

    def read_coded(self, rows: int, width: int) -> FloatArray:
        """Return the next (R, D) array that went through the codec."""
        return self._codec.decode(self._take(self._codec.size(rows, width)), rows, width)

    def read_units(self, rows: int, width: int) -> FloatArray:
        """Return the next (R, D) array with each row at unit norm; a row of zeros stays one."""
        rows_RD = self.read_coded(rows, width)
        norms_R = np.sqrt(np.einsum("rd,rd->r", rows_RD, rows_RD))
        rows_RD *= (1 / np.maximum(norms_R, _SMALLEST_NORM))[:, None]
        return rows_RD

    def _take(self, size: int) -> memoryview:
        start, self._place = self._place, self._place + size
        return self._blob[start : self._place]


def _read_instances(reader: _PayloadReader, count: int, width: int) -> Instances:
    boxes_N4, scores_N = reader.read_exact(count, 4), reader.read_exact(count)
    return Instances(vectors_ND=reader.read_units(count, width), boxes_N4=boxes_N4, scores_N=scores_N)


def _read_token_map(reader: _PayloadReader, rows: int, columns: int, width: int) -> TokenMap:
    likelihood_HW = reader.read_exact(rows, columns)
    tokens_HWE = reader.read_coded(rows * columns, width).reshape(rows, columns, width)
    return TokenMap(tokens_HWE=tokens_HWE, text_likelihood_HW=likelihood_HW)


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


def _as_bytes(array: FloatArray) -> bytes:
    return array.astype("<f4").tobytes()


def _triple(shape: tuple[int, ...]) -> tuple[int, int, int]:
    rows, columns, width = shape
    return rows, columns, width
