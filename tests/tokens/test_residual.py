from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tokens.makers import clustered_units, random_units

from glyphseek.tokens import residual
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import FloatArray

BITS = pytest.mark.parametrize("bits", [4, 2])
WIDTH = 10


@pytest.fixture(scope="module")
def codebook() -> TokenCodebook:
    return fit_codebook(clustered_units(np.random.default_rng(1), 2000, WIDTH), FitSettings(centroids=32, rounds=5))


def round_trip(tokens_NP: FloatArray, codebook: TokenCodebook, bits: int) -> FloatArray:
    centroids_CP, values_PB = codebook.residual_tables(bits)
    blob = residual.encode(tokens_NP, centroids_CP, values_PB)
    count = len(tokens_NP)
    assert len(blob) == residual.size(count, tokens_NP.shape[1], bits)
    ids_N = np.frombuffer(blob, dtype="<u2", count=count)
    codes_NR = np.frombuffer(blob, dtype=np.uint8, offset=2 * count).reshape(count, -1)
    return residual.decode(ids_N, codes_NR, *codebook.byte_tables(bits))


@BITS
@settings(max_examples=200)
@given(tokens=arrays(np.float32, (3, WIDTH), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_component_returns_within_the_written_bound(tokens: FloatArray, codebook: TokenCodebook, bits: int) -> None:
    found = round_trip(tokens, codebook, bits)
    bound = residual.largest_error(tokens, *codebook.residual_tables(bits))
    rounding = 1e-6 + 1e-6 * np.abs(tokens)
    assert (np.abs(found - tokens) <= bound + rounding).all()


@pytest.mark.parametrize(("bits", "bound"), [(4, 0.12), (2, 0.40)])
@pytest.mark.parametrize("width", [32, 128, 512])
def test_tokens_like_the_sample_return_within_a_share_of_what_the_centroid_leaves(
    bits: int, bound: float, width: int
) -> None:
    random = np.random.default_rng(width)
    codebook = fit_codebook(clustered_units(random, 4000, width), FitSettings(centroids=32, rounds=5))
    tokens = clustered_units(random, 500, width)
    centroids_CP, _ = codebook.residual_tables(bits)
    left = tokens - centroids_CP[residual.nearest_centroids(tokens, centroids_CP)]
    error = np.linalg.norm(round_trip(tokens, codebook, bits) - tokens, axis=1)
    assert np.sqrt((error**2).mean() / (left**2).sum(axis=1).mean()) <= bound


@BITS
def test_a_bucket_value_beside_its_centroid_returns_exactly(codebook: TokenCodebook, bits: int) -> None:
    centroids_CP, values_PB = codebook.residual_tables(bits)
    ids_N = np.array([3, 0, 31], dtype=np.uint16)
    buckets_NP = np.random.default_rng(2).integers(0, 2**bits, (3, WIDTH), dtype=np.uint8)
    codes_NR = residual.join_codes(buckets_NP, bits)
    tokens_NP = residual.decode(ids_N, codes_NR, *codebook.byte_tables(bits))
    wanted_NP = centroids_CP[ids_N] + values_PB[np.arange(WIDTH), buckets_NP]
    np.testing.assert_array_equal(tokens_NP, wanted_NP)


@BITS
@pytest.mark.parametrize("width", [1, 3, 4, 9, 128])
def test_codes_of_any_width_split_into_what_was_joined(bits: int, width: int) -> None:
    buckets_NP = np.random.default_rng(width).integers(0, 2**bits, (5, width), dtype=np.uint8)
    joined_NR = residual.join_codes(buckets_NP, bits)
    assert joined_NR.shape == (5, residual.row_bytes(width, bits))
    np.testing.assert_array_equal(residual.split_codes(joined_NR, width, bits), buckets_NP)


@BITS
@pytest.mark.parametrize("width", [1, 5, 8])
def test_a_byte_stands_for_the_values_of_its_codes(bits: int, width: int) -> None:
    random = np.random.default_rng(width)
    values_PB = np.sort(random.standard_normal((width, 2**bits)).astype(np.float32), axis=1)
    buckets_NP = random.integers(0, 2**bits, (1000, width), dtype=np.uint8)
    found = residual.look_up(residual.join_codes(buckets_NP, bits), residual.tabulate_bytes(values_PB))
    np.testing.assert_array_equal(found[:, :width], values_PB[np.arange(width), buckets_NP])
    assert not found[:, width:].any()


def test_the_first_component_lies_in_the_lowest_bits() -> None:
    assert residual.join_codes(np.array([[1, 2, 15]], dtype=np.uint8), 4).tolist() == [[0x21, 0x0F]]
    assert residual.join_codes(np.array([[1, 2, 3, 0, 3]], dtype=np.uint8), 2).tolist() == [[0b00111001, 0b11]]


def test_nearest_centroids_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(4)
    tokens, centroids = random_units(random, 5000, 8), random_units(random, 20, 8)
    wanted = np.linalg.norm(tokens[:, None] - centroids, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(residual.nearest_centroids(tokens, centroids), wanted)


def test_nearest_buckets_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(5)
    values_PB = np.sort(random.standard_normal((6, 16)).astype(np.float32), axis=1)
    residuals_NP = random.standard_normal((200, 6)).astype(np.float32)
    wanted = np.abs(residuals_NP[:, :, None] - values_PB).argmin(axis=2)
    np.testing.assert_array_equal(residual.nearest_buckets(residuals_NP, values_PB), wanted)
