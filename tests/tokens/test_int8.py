from __future__ import annotations

import numpy as np
import pytest

from glyphseek.tokens import int8


def test_a_component_returns_within_the_written_bound() -> None:
    values = np.random.default_rng(1).standard_normal((100, 300)).astype(np.float32)
    values *= np.logspace(-20, 20, 100, dtype=np.float32)[:, None]
    found = int8.decode(memoryview(int8.encode(values)), 100, 300)
    largest = np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(found - values) <= largest / 254 * (1 + 1e-5)).all()


@pytest.mark.parametrize("magnitude", [1e-45, 3.4e38])
def test_the_smallest_and_largest_floats_return_finite(magnitude: float) -> None:
    values = np.array([[magnitude, -magnitude, 0]], dtype=np.float32)
    found = int8.decode(memoryview(int8.encode(values)), 1, 3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, values, atol=1e-43, rtol=0.01)


def test_the_largest_component_uses_all_steps() -> None:
    encoded = int8.encode(np.array([[0.5, -0.25]], dtype=np.float32))
    assert list(np.frombuffer(encoded, dtype=np.int8, offset=4)) == [127, -64]


def test_size_is_the_length_of_the_encoded_bytes() -> None:
    assert int8.size(3, 5) == len(int8.encode(np.ones((3, 5), dtype=np.float32))) == 27
