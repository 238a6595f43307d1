from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from tokens.makers import MODEL, clustered_units, random_units

from glyphseek.errors import InputError
from glyphseek.models.cayn.packed import TokenBatch
from glyphseek.tokens import CodecName, PackedTokens, TokenCodebook, open_tokens, pack
from glyphseek.tokens.fitting import FitSettings, fit_codebook
from glyphseek.types import FloatArray, ImageFeatures, TokenMap

WIDTH = 24
SAMPLE = clustered_units(np.random.default_rng(1), 600, WIDTH)
PLAIN = fit_codebook(SAMPLE, FitSettings(centroids=16, rounds=4))
# 9 is no multiple of what a byte holds at four or two bits.
NARROW = fit_codebook(SAMPLE, FitSettings(stored_width=9, centroids=16, rounds=4))
CASES = pytest.mark.parametrize(("codec", "codebook"), list(product(CodecName, [PLAIN, NARROW])))
GRIDS = ((3, 4), (1, 1), (5, 2), (2, 7))


def packed_map(
    rows: int, columns: int, codec: CodecName, codebook: TokenCodebook | None, *, keep: float = 0.0, width: int = WIDTH
) -> PackedTokens:
    random = np.random.default_rng(rows * 100 + columns)
    token_map = TokenMap(
        tokens_HWE=clustered_units(random, rows * columns, width).reshape(rows, columns, width),
        text_likelihood_HW=random.random((rows, columns), dtype=np.float32),
    )
    features = ImageFeatures(token_map=token_map, global_vector_D=random_units(random, 1, width)[0])
    blob = pack(features, codec=codec, fingerprint=MODEL, codebook=codebook, keep_likelihood=keep)
    return open_tokens(blob, fingerprint=MODEL, codebook=codebook)


def packed_maps(codec: CodecName, codebook: TokenCodebook | None, *, keep: float = 0.0) -> list[PackedTokens]:
    return [packed_map(rows, columns, codec, codebook, keep=keep) for rows, columns in GRIDS]


def some_queries(count: int) -> FloatArray:
    return random_units(np.random.default_rng(count), count, WIDTH)


@CASES
@pytest.mark.parametrize("queries", [1, 3])
def test_dots_are_those_of_the_unpacked_tokens(codec: CodecName, codebook: TokenCodebook, queries: int) -> None:
    maps, queries_QE = packed_maps(codec, codebook), some_queries(queries)
    tokens_NE = np.concatenate([one.decode() for one in maps])
    found = TokenBatch(maps).dots(torch.from_numpy(queries_QE)).numpy()
    np.testing.assert_allclose(found, queries_QE @ tokens_NE.T, atol=2e-6)


@CASES
@pytest.mark.parametrize("queries", [1, 3])
def test_weighted_sums_are_those_of_the_unpacked_tokens_map_by_map(
    codec: CodecName, codebook: TokenCodebook, queries: int
) -> None:
    maps = packed_maps(codec, codebook)
    batch = TokenBatch(maps)
    weights_QN = np.random.default_rng(5).random((queries, len(batch)), dtype=np.float32)
    found = batch.weighted_sums(torch.from_numpy(weights_QN)).numpy()
    start = 0
    for k, one in enumerate(maps):
        wanted_QE = weights_QN[:, start : start + len(one)] @ one.decode()
        np.testing.assert_allclose(found[:, k], wanted_QE, atol=5e-6)
        start += len(one)


@pytest.mark.parametrize("grids", [GRIDS, ((2, 3),) * 3])
def test_softmax_is_taken_in_each_map_by_itself(grids: tuple[tuple[int, int], ...]) -> None:
    batch = TokenBatch([packed_map(*grid, CodecName.INT8, None) for grid in grids])
    logits_QN = 8 * torch.randn(2, len(batch), generator=torch.Generator().manual_seed(1))
    parts = [part.softmax(-1) for part in logits_QN.split(batch.sizes, dim=1)]
    torch.testing.assert_close(batch.softmax(logits_QN), torch.cat(parts, dim=1))


@CASES
def test_a_map_scores_the_same_alone_and_in_a_batch(codec: CodecName, codebook: TokenCodebook) -> None:
    maps, queries = packed_maps(codec, codebook), torch.from_numpy(some_queries(2))
    together = TokenBatch(maps).dots(queries).split([len(one) for one in maps], dim=1)
    for one, dots_QN in zip(maps, together, strict=True):
        torch.testing.assert_close(TokenBatch([one]).dots(queries), dots_QN, atol=2e-6, rtol=0)


def test_maps_of_several_codecs_are_scored_together() -> None:
    maps = [packed_map(2, 3, codec, codebook) for codec, codebook in product(CodecName, [PLAIN, NARROW])]
    queries_QE = some_queries(2)
    wanted_QN = queries_QE @ np.concatenate([one.decode() for one in maps]).T
    np.testing.assert_allclose(TokenBatch(maps).dots(torch.from_numpy(queries_QE)).numpy(), wanted_QN, atol=2e-6)


def test_tokens_that_were_not_kept_take_no_part() -> None:
    full, kept = packed_maps(CodecName.INT8, None), packed_maps(CodecName.INT8, None, keep=0.5)
    batch = TokenBatch(kept)
    dots_N = batch.dots(torch.from_numpy(some_queries(1)))[0]
    all_dots_N = TokenBatch(full).dots(torch.from_numpy(some_queries(1)))[0]
    likely_N = TokenBatch(full).likelihoods() >= 0.5
    likely_N[full[0].shape[0] * full[0].shape[1]] = True  # the only token of a map always stays
    assert len(batch) < len(all_dots_N)
    torch.testing.assert_close(dots_N, all_dots_N[likely_N], atol=2e-6, rtol=0)


def test_likelihoods_and_parts_come_in_the_order_of_the_maps() -> None:
    maps = [packed_map(2, 2, CodecName.FP16, None), packed_map(1, 3, CodecName.FP16, None)]
    batch = TokenBatch(maps)
    first, second = batch.split(batch.likelihoods())
    np.testing.assert_array_equal(first.numpy(), maps[0].decode_likelihood())
    np.testing.assert_array_equal(second.numpy(), maps[1].decode_likelihood())


@CASES
def test_a_map_without_tokens_has_no_dots_and_a_sum_of_zero(codec: CodecName, codebook: TokenCodebook) -> None:
    batch = TokenBatch([packed_map(2, 3, codec, codebook), packed_map(0, 4, codec, codebook)])
    dots_QN = batch.dots(torch.from_numpy(some_queries(2)))
    sums_QKE = batch.weighted_sums(batch.softmax(dots_QN))
    assert batch.sizes == (6, 0)
    assert dots_QN.shape == (2, 6)
    assert torch.isfinite(sums_QKE).all()
    assert not sums_QKE[:, 1].any()


def test_maps_of_different_token_widths_are_refused() -> None:
    maps = [packed_map(1, 2, CodecName.INT8, None, width=width) for width in (8, 16)]
    with pytest.raises(InputError, match=r"\[8, 16\]"):
        TokenBatch(maps)


def test_a_batch_without_maps_is_refused() -> None:
    with pytest.raises(InputError, match="one width"):
        TokenBatch([])
