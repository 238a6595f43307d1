"""Features, fingerprints and damaged blobs for the tests of this folder."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from glyphseek.types import FloatArray

MODEL = "0123456789abcdef" * 2
OTHER = "f" * 32


def random_units(rng: np.random.Generator, rows: int, width: int) -> FloatArray:
    """Return rows of unit norm in directions without preference."""
    vectors = rng.standard_normal((rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered_units(rng: np.random.Generator, rows: int, width: int, *, spread: float = 0.5) -> FloatArray:
    """Return rows of unit norm around twenty fixed directions, as far from them as `spread` says."""
    centres = random_units(np.random.default_rng(20), 20, width)
    near = centres[rng.integers(0, 20, rows)] + spread * random_units(rng, rows, width)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def restamp(blob: bytes) -> bytes:
    """Return the blob with a checksum that fits what it now holds."""
    return blob[:4] + struct.pack("<I", zlib.crc32(blob[8:])) + blob[8:]
