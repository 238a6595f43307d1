from __future__ import annotations

import numpy as np
import pytest

from glyphseek.errors import InputError
from glyphseek.tokens import fp16


def test_every_finite_half_decodes_as_numpy_decodes_it() -> None:
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    found = fp16.decode(memoryview(finite.tobytes()), 1, finite.size)
    np.testing.assert_array_equal(found[0], finite.astype(np.float32))


def test_halves_decode_at_any_place_and_without_any() -> None:
    """A blob's vectors may begin at an odd byte, and are read-only."""
    halves = np.random.default_rng(2).standard_normal((3, 7)).astype(np.float16)
    found = fp16.decode(memoryview(b"x" + halves.tobytes())[1:], 3, 7)
    np.testing.assert_array_equal(found, halves.astype(np.float32))
    assert fp16.decode(memoryview(b""), 0, 7).shape == (0, 7)


def test_what_is_not_finite_stays_so() -> None:
    halves = np.array([np.inf, -np.inf, np.nan], dtype=np.float16)
    np.testing.assert_array_equal(fp16.widen(halves), halves.astype(np.float32))


def test_a_component_returns_within_the_written_bound() -> None:
    values = np.random.default_rng(1).uniform(-65_504, 65_504, (1, 10_000)).astype(np.float32)
    values[0, :5000] /= 1e9
    found = fp16.decode(memoryview(fp16.encode(values)), 1, 10_000)
    assert (np.abs(found - values) <= np.abs(values) / 2048 + 3e-8).all()


def test_a_magnitude_past_the_limit_is_refused_with_the_limit() -> None:
    with pytest.raises(InputError, match="65504"):
        fp16.encode(np.array([[1.0, -65_505.0]], dtype=np.float32))


def test_size_is_the_length_of_the_encoded_bytes() -> None:
    assert fp16.size(3, 5) == len(fp16.encode(np.ones((3, 5), dtype=np.float32))) == 30
