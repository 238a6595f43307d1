"""Single precision: four bytes a component, and nothing lost. What the other codecs are measured against."""

from __future__ import annotations

import numpy as np

from glyphseek.types import FloatArray


def size(rows: int, width: int) -> int:
    """Return how many bytes `rows` vectors take."""
    return 4 * rows * width


def encode(rows_RD: FloatArray) -> bytes:
    """Return (R, D) finite values as bytes."""
    return rows_RD.astype("<f4").tobytes()


def decode(buffer: memoryview, rows: int, width: int) -> FloatArray:
    """Return the (R, D) values that `encode` stored; `buffer` has exactly `size(rows, width)` bytes."""
    return np.frombuffer(buffer, dtype="<f4").astype(np.float32).reshape(rows, width)
