"""Products with the raw rows of K stored token maps: what codes are before scales, centroids and projection.

In main memory bytes stay bytes. A block of them that fits the processor's cache is made floats of, used and overwritten
by the next one: to make floats of all at once takes memory that the system has to find first, 2.0 ms instead of 1.1 for
one query and 32 maps of 400 x 128 int8 that were just fetched. Few queries are multiplied one by one, which no library
divides among threads: on two cores that are busy, two threads took 8 ms for what one does in 0.4.

On another device all rows are one tensor there.

Shape legend: K maps, N rows of all maps together, map after map, n those of one, P their width, Q queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glyphseek.types import FloatArray

BLOCK_FLOATS = 1 << 16
"""256 KiB: a quarter of the second-level cache of one core of a server, half of that of a laptop."""
_FEW_QUERIES = 8


class Rows(Protocol):
    """Rows of K maps; queries and weights are float32 tensors on the device of the rows, and so are the answers."""

    def multiply(self, queries_QP: Tensor) -> Tensor:
        """Return (Q, N): the inner product of each query with each row."""
        ...

    def sum_up(self, weights_QN: Tensor) -> Tensor:
        """Return (Q, K, P): the sum of weight x row over the rows of each map."""
        ...


class HostRows:
    """Rows in main memory: one (n, P) array of int8 or float32 a map, all of one type and not copied."""

    def __init__(self, maps: Sequence[NDArray[np.generic]]) -> None:
        self._maps = maps
        self._width = maps[0].shape[1]
        self._rows = sum(map(len, maps))
        self._is_float = maps[0].dtype == np.float32
        block = max(1, min(BLOCK_FLOATS // max(1, self._width), max(map(len, maps))))
        self._scratch = np.empty((block, self._width), dtype=np.float32)

    def multiply(self, queries_QP: Tensor) -> Tensor:
        """Return (Q, N)."""
        queries = queries_QP.numpy()
        dots_QN = np.empty((len(queries), self._rows), dtype=np.float32)
        for _, place, block in self._blocks():
            _multiply(queries, block.T, dots_QN[:, place])
        return torch.from_numpy(dots_QN)

    def sum_up(self, weights_QN: Tensor) -> Tensor:
        """Return (Q, K, P)."""
        weights = weights_QN.numpy()
        sums_QKP = np.zeros((len(weights), len(self._maps), self._width), dtype=np.float32)
        part_QP = np.empty((len(weights), self._width), dtype=np.float32)
        for k, place, block in self._blocks():
            _multiply(weights[:, place], block, part_QP)
            sums_QKP[:, k] += part_QP
        return torch.from_numpy(sums_QKP)

    def _blocks(self) -> Iterator[tuple[int, slice, FloatArray]]:
        """Yield blocks of rows as floats, each with its map's number and place among all rows; use one at a time."""
        start, most = 0, len(self._scratch)
        for k, codes in enumerate(self._maps):
            for first in range(0, len(codes), most):
                block = self._widen(codes[first : first + most])
                stop = start + len(block)
                yield k, slice(start, stop), block
                start = stop

    def _widen(self, codes: NDArray[np.generic]) -> FloatArray:
        """Return the rows as floats, in the scratch memory where they are none."""
        if self._is_float:
            return codes.view(np.float32)
        block = self._scratch[: len(codes)]
        np.copyto(block, codes, casting="unsafe")
        return block


class DeviceRows:
    """Rows on another device: those of all maps as one (N, P) float32 tensor, `sizes` of them a map."""

    def __init__(self, rows_NP: Tensor, sizes: Sequence[int]) -> None:
        self._rows_NP = rows_NP
        self._starts_K = starts_of(sizes, str(rows_NP.device))

    def multiply(self, queries_QP: Tensor) -> Tensor:
        """Return (Q, N)."""
        return queries_QP @ self._rows_NP.T

    def sum_up(self, weights_QN: Tensor) -> Tensor:
        """Return (Q, K, P)."""
        return sum_rows(self._rows_NP, None, weights_QN, self._starts_K)


def starts_of(sizes: Sequence[int], device: str) -> Tensor:
    """Return (K,): where each map begins among the rows of all."""
    return torch.tensor([0, *accumulate(sizes[:-1])], device=device)


def sum_rows(rows: Tensor, ids_N: Tensor | None, weights_QN: Tensor, starts_K: Tensor) -> Tensor:
    """Return (Q, K, width): sums over each map of weight x row, token n having row ids_N[n], or n without ids.

    One call for maps of any sizes.
    """
    queries, tokens = weights_QN.shape
    rows_N = torch.arange(tokens, device=rows.device) if ids_N is None else ids_N
    starts_QK = starts_K + tokens * torch.arange(queries, device=rows.device)[:, None]
    sums = functional.embedding_bag(
        rows_N.repeat(queries),
        rows,
        starts_QK.flatten(),
        mode="sum",
        per_sample_weights=weights_QN.flatten(),
    )
    return sums.unflatten(0, (queries, len(starts_K)))


def softmax_last(logits: Tensor) -> Tensor:
    """Return the softmax along the last axis; where a row is -inf throughout, it is NaN, as torch has it.

    In main memory torch divides the rows among its threads, however few they are: with two threads on two cores that
    were busy it took 3.7 ms for 32 rows of 400, where this takes 0.03.
    """
    if logits.device.type != "cpu" or not logits.shape[-1]:
        return logits.softmax(-1)
    values = logits.numpy()
    with np.errstate(invalid="ignore"):
        shares = np.exp(values - values.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
    return torch.from_numpy(shares)


def _multiply(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Write left @ right."""
    if len(left) > _FEW_QUERIES:
        np.matmul(left, right, out=out)
        return
    for row, found in zip(left, out, strict=True):
        np.dot(row, right, out=found)
