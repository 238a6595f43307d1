"""Arrays on the wire. What arrives is checked before it is believed."""

from __future__ import annotations

import math

import numpy as np

from glyphseek.api.v1.types_pb2 import Array
from glyphseek.errors import InputError
from glyphseek.types import FloatArray

MOST_NUMBERS = 2**24
"""Numbers of one array; 64 MiB as float32, which is what a message may hold."""

_DTYPES = {Array.TYPE_FLOAT32: np.dtype("<f4"), Array.TYPE_FLOAT16: np.dtype("<f2")}


def encode_array(array: FloatArray) -> Array:
    """Return a float32 array of at most four dimensions, row by row; nothing is rounded."""
    data = np.ascontiguousarray(array, dtype="<f4").tobytes()
    return Array(type=Array.TYPE_FLOAT32, shape=array.shape, data=data)


def decode_array(message: Array, shape: tuple[int | None, ...], *, name: str) -> FloatArray:
    """Return the array, float32 and read-only: of float32 no number is copied. None in `shape` is any length.

    Raises InputError for an unknown type, another shape, bytes that are too many or too few, and numbers that are none
    or infinite; `name` says there which array is meant.
    """
    found = tuple(message.shape)
    if (dtype := _DTYPES.get(message.type)) is None:
        raise InputError(f"{name} has numbers of type {message.type}, known are {sorted(_DTYPES)}")
    if len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found, strict=True)):
        raise InputError(f"{name} has the shape {found}, it must be {_write_shape(shape)}")
    count = math.prod(found)
    if count > MOST_NUMBERS:
        raise InputError(f"{name} has {count} numbers, the limit is {MOST_NUMBERS}")
    if len(message.data) != count * dtype.itemsize:
        raise InputError(f"{name} has {len(message.data)} bytes, its shape {found} needs {count * dtype.itemsize}")
    array = np.frombuffer(message.data, dtype=dtype).reshape(found).astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise InputError(f"{name} has a number that is not finite")
    return array


def _write_shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if one is None else str(one) for one in shape) + ")"
