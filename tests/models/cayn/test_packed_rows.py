from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glyphseek.models.cayn.packed_rows import BLOCK_FLOATS, DeviceRows, HostRows, softmax_last, starts_of, sum_rows

SIZES = (700, 0, 1, 513, 1300)
WIDTH = 128
QUERIES = pytest.mark.parametrize("queries", [1, 3, 20])


def some_maps(dtype: type[np.int8] | type[np.float32], *, width: int = WIDTH) -> list[NDArray[np.generic]]:
    random = np.random.default_rng(1)
    maps: list[NDArray[np.generic]] = [
        random.integers(-127, 128, (size, width), dtype=np.int8).astype(dtype) for size in SIZES
    ]
    for one in maps:
        one.flags.writeable = False
    return maps


def some_tensor(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows))


def plain_sums(weights_QN: torch.Tensor, maps: list[NDArray[np.generic]]) -> NDArray[np.float64]:
    parts = [part.numpy().astype(np.float64) for part in weights_QN.split(list(SIZES), dim=1)]
    return np.stack([part @ one.astype(np.float64) for part, one in zip(parts, maps, strict=True)], axis=1)


@QUERIES
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_products_of_maps_of_several_blocks_are_the_plain_ones(
    dtype: type[np.int8] | type[np.float32], queries: int
) -> None:
    maps, queries_QP = some_maps(dtype), some_tensor(queries, WIDTH)
    assert max(SIZES) * WIDTH > 2 * BLOCK_FLOATS
    wanted_QN = queries_QP.double().numpy() @ np.concatenate(maps).astype(np.float64).T
    np.testing.assert_allclose(HostRows(maps).multiply(queries_QP).numpy(), wanted_QN, atol=1e-2)


@QUERIES
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_sums_go_over_all_blocks_of_each_map_and_are_zero_for_one_without_rows(
    dtype: type[np.int8] | type[np.float32], queries: int
) -> None:
    maps, weights_QN = some_maps(dtype), some_tensor(queries, sum(SIZES))
    sums_QKP = HostRows(maps).sum_up(weights_QN).numpy()
    np.testing.assert_allclose(sums_QKP, plain_sums(weights_QN, maps), atol=2e-2)
    assert not sums_QKP[:, 1].any()


@QUERIES
def test_rows_on_a_device_give_what_those_in_main_memory_do(queries: int) -> None:
    maps = some_maps(np.int8)
    host, device = HostRows(maps), DeviceRows(torch.from_numpy(np.concatenate(maps)).float(), SIZES)
    queries_QP, weights_QN = some_tensor(queries, WIDTH), some_tensor(queries, sum(SIZES))
    torch.testing.assert_close(host.multiply(queries_QP), device.multiply(queries_QP), atol=1e-2, rtol=0)
    torch.testing.assert_close(host.sum_up(weights_QN), device.sum_up(weights_QN), atol=2e-2, rtol=0)


def test_a_row_wider_than_a_block_is_a_block() -> None:
    row = np.ones((2, BLOCK_FLOATS + 1), dtype=np.int8)
    dots_QN = HostRows([row]).multiply(torch.ones(1, BLOCK_FLOATS + 1))
    assert dots_QN.tolist() == [[BLOCK_FLOATS + 1.0] * 2]


def test_rows_are_not_written() -> None:
    maps = some_maps(np.float32)
    before = [one.copy() for one in maps]
    rows = HostRows(maps)
    rows.multiply(some_tensor(2, WIDTH))
    rows.sum_up(some_tensor(2, sum(SIZES)))
    for one, was in zip(maps, before, strict=True):
        np.testing.assert_array_equal(one, was)


def test_the_sum_over_named_rows_counts_each_as_often_as_it_is_named() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 10.0]])
    sums = sum_rows(rows, torch.tensor([0, 0, 1]), torch.tensor([[1.0, 2.0, 3.0]]), starts_of([2, 1], "cpu"))
    assert sums.tolist() == [[[3.0, 0.0], [0.0, 30.0]]]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 40), (2, 0, 5), (1, 2, 0)])
def test_the_softmax_is_that_of_torch_however_large_the_logits(shape: tuple[int, int, int]) -> None:
    logits = 300 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(softmax_last(logits), logits.softmax(-1))


def test_the_softmax_gives_nothing_to_padding_and_keeps_torchs_answer_to_a_row_of_it() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf] * 3])
    found = softmax_last(logits)
    torch.testing.assert_close(found, logits.softmax(-1), equal_nan=True)
    assert found[0, 1] == 0
