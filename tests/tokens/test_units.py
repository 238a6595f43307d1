from __future__ import annotations

import numpy as np
import pytest
from tokens.makers import random_units

from glyphseek.errors import BlobDamaged
from glyphseek.tokens.codecs import CODECS, CodecName
from glyphseek.tokens.units import read_unit, read_units

VECTOR_CODECS = pytest.mark.parametrize("codec", [CodecName.FP32, CodecName.FP16, CodecName.INT8])


@VECTOR_CODECS
def test_vectors_return_with_unit_norm_near_what_they_were(codec: CodecName) -> None:
    vectors, coder = random_units(np.random.default_rng(1), 3, 40), CODECS[codec].vectors
    found = read_units(memoryview(coder.encode(vectors)), coder, 3, 40)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, vectors, atol=1e-2)


@VECTOR_CODECS
def test_one_vector_is_read_as_a_row_of_one(codec: CodecName) -> None:
    vectors, coder = 3 * random_units(np.random.default_rng(2), 1, 40), CODECS[codec].vectors
    stored = memoryview(coder.encode(vectors))
    found = read_unit(stored, coder, 40)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, read_units(stored, coder, 1, 40)[0], rtol=1e-6)


@VECTOR_CODECS
def test_zeros_stay_zeros(codec: CodecName) -> None:
    coder = CODECS[codec].vectors
    stored = memoryview(coder.encode(np.zeros((1, 4), dtype=np.float32)))
    assert not read_unit(stored, coder, 4).any()
    assert not read_units(stored, coder, 1, 4).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_vector_without_a_finite_norm_is_damage(value: float) -> None:
    coder = CODECS[CodecName.FP32].vectors
    stored = memoryview(np.full(4, value, dtype="<f4").tobytes())
    with pytest.raises(BlobDamaged, match="not finite"):
        read_unit(stored, coder, 4)
