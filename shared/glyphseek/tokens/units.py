"""Vectors that are of unit norm by contract, read back from a codec that rounds them."""

from __future__ import annotations

import math

import numpy as np
from numkong import norm
from numpy.typing import NDArray

from glyphseek.errors import BlobDamaged
from glyphseek.tokens.codecs import VectorCodec
from glyphseek.types import FloatArray

_SMALLEST_NORM = np.float32(1e-30)


def read_units(buffer: memoryview, codec: VectorCodec, rows: int, width: int) -> FloatArray:
    """Return (R, D) vectors, each scaled to unit norm again; a row of zeros stays one.

    Raises BlobDamaged for a value that is not finite, which no codec writes.
    """
    rows_RD = codec.decode(buffer, rows, width)
    lengths_R = _check(np.sqrt(np.einsum("rd,rd->r", rows_RD, rows_RD)))
    rows_RD *= (1 / lengths_R)[:, None]
    return rows_RD


def lengths_of_halves(rows_RD: NDArray[np.float16]) -> FloatArray:
    """Return (R,), what aligned rows are divided by to be of unit norm; that of zeros is next to nothing.

    Raises BlobDamaged for a value that is not finite, which no codec writes.
    """
    return _check(np.asarray(norm(rows_RD, axis=1))) if len(rows_RD) else np.empty(0, dtype=np.float32)


def _check(lengths_R: NDArray[np.floating]) -> FloatArray:
    if not lengths_R.max(initial=0.0) < np.inf:  # not so of NaN, which is the largest of any
        raise BlobDamaged("blob holds a vector that is not finite")
    return np.maximum(lengths_R.astype(np.float32), _SMALLEST_NORM)


def read_unit(buffer: memoryview, codec: VectorCodec, width: int) -> FloatArray:
    """Return one such vector (D,): as `read_units` of one row, in half the time. Raises BlobDamaged as it does."""
    vector_D = codec.decode(buffer, 1, width)[0]
    norm = math.sqrt(np.einsum("d,d->", vector_D, vector_D))
    if not math.isfinite(norm):
        raise BlobDamaged("blob holds a vector that is not finite")
    vector_D *= np.float32(1 / max(norm, _SMALLEST_NORM))
    return vector_D
