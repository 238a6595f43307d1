from __future__ import annotations

import numpy as np

from glyphseek.tokens import fp32


def test_values_return_bit_by_bit() -> None:
    values = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    encoded = fp32.encode(values)
    assert fp32.size(3, 5) == len(encoded) == 60
    np.testing.assert_array_equal(fp32.decode(memoryview(encoded), 3, 5), values)
