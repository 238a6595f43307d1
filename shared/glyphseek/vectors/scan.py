"""Exact search over rows in this process: bound each row by its bytes, then compare those that may be among the best.

The one home of numkong, which multiplies bytes with whatever instructions the processor has for it (AVX-512 VNNI, AVX2,
NEON), several queries in one pass over the rows.

R rows, Q queries, D width, S = 2Q codes of queries, F rows that were found for one query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import GalleryDamaged
from glyphseek.types import FloatArray
from glyphseek.vectors.codes import Codes, QueryCodes, bound_products, encode_queries, slack_of

_ROWS_AT_ONCE = 4096  # codes and products of so many rows stay in the second-level cache
_QUERIES_AT_ONCE = 16  # bounds take 4 bytes a row and query
_FEW_CODES = 4  # 100,000 rows of width 768 take 2.5 ms for each code one by one; all together 9 ms for 4, 18 ms for 24
_ROWS_OF_A_GROUP = 32

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRows:
    """All rows of one moment: as bytes (see RowCodes), as they were given, and which of them count."""

    codes_RD: Codes
    measures_R3: FloatArray
    vectors_RD: FloatArray
    is_live_R: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows of one answer, in no order, with their inner products."""

    rows_F: Rows
    products_F: FloatArray


def find_largest(rows: ScanRows, vectors_QD: FloatArray, limit: int, pool: Executor) -> list[Found]:
    """Return for each query the `limit` live rows of largest inner product, and all that equal the last of them.

    Products are float32 and do not depend on the place of a row. Raises GalleryDamaged when a row is not what its bytes
    were made of.
    """
    found: list[Found] = []
    for start in range(0, len(vectors_QD), _QUERIES_AT_ONCE):
        found += _find_together(rows, vectors_QD[start : start + _QUERIES_AT_ONCE], limit, pool)
    return found


def _find_together(rows: ScanRows, vectors_QD: FloatArray, limit: int, pool: Executor) -> list[Found]:
    queries = encode_queries(vectors_QD)
    upper_QR = _bound_all(rows, queries, pool)
    slack_R = slack_of(rows.measures_R3, queries)

    def settle(query: int) -> Found:
        compare = _Comparison(rows, vectors_QD[query], upper_QR[query], slack_R, float(queries.lengths_Q[query]))
        return _settle(compare, limit)

    return list(pool.map(settle, range(len(vectors_QD))))


def _bound_all(rows: ScanRows, queries: QueryCodes, pool: Executor) -> FloatArray:
    """Return (Q, R) upper bounds of the inner products; those of rows that do not count are minus infinity."""
    upper_QR = np.empty((len(queries.scales_Q), len(rows.codes_RD)), dtype=np.float32)
    multiply = _multiplier(queries.codes_SD)

    def bound(part: slice) -> None:
        upper_RQ = bound_products(multiply(rows.codes_RD[part]), queries, rows.measures_R3[part])
        upper_RQ[~rows.is_live_R[part]] = -np.inf
        upper_QR[:, part] = upper_RQ.T

    _do_all(bound, _parts(len(rows.codes_RD)), pool)
    return upper_QR


def _multiplier(codes_SD: Codes) -> Callable[[Codes], FloatArray]:
    """Return the function from row codes to their (R, S) inner products with these, rounded to float32."""
    from numkong import cdist, dots_pack, dots_packed

    if len(codes_SD) <= _FEW_CODES:
        return lambda codes_RD: np.asarray(cdist(codes_RD, codes_SD, "dot", out_dtype="float32")).reshape(
            len(codes_RD), -1
        )
    packed_SD = dots_pack(codes_SD)
    return lambda codes_RD: np.asarray(dots_packed(codes_RD, packed_SD)).astype(np.float32)


class _Comparison:
    """The true products of one query, computed where they are asked for."""

    def __init__(
        self, rows: ScanRows, vector_D: FloatArray, upper_R: FloatArray, slack_R: FloatArray, length: float
    ) -> None:
        self.upper_R = upper_R
        self._rows = rows
        self._vector_D = vector_D
        self._slack_R = slack_R
        self._length = length

    def multiply(self, rows_F: Rows) -> FloatArray:
        """Return the inner products of rows. Raises GalleryDamaged when one is outside its bounds."""
        if not len(rows_F):
            return np.empty(0, dtype=np.float32)
        # einsum goes over each row in the same way; a matrix product may not, and equal rows would no longer tie.
        parts = (
            np.einsum("rd,d->r", self._rows.vectors_RD[rows_F[part]], self._vector_D) for part in _parts(len(rows_F))
        )
        products_F = np.concatenate(list(parts))
        upper_F = self.upper_R[rows_F]
        lower_F = upper_F - np.float32(2.0001 * self._length) * self._slack_R[rows_F]
        if not ((lower_F <= products_F) & (products_F <= upper_F)).all():
            raise GalleryDamaged("a row of the search table is not what its bytes were made of")
        return products_F


def _settle(compare: _Comparison, limit: int) -> Found:
    """Compare the `limit` rows of highest bounds, or some more; then all whose bound reaches the worst of the best."""
    highest = _reached(compare.upper_R, limit)
    rows_F = np.flatnonzero(compare.upper_R >= highest)
    products_F = compare.multiply(rows_F)
    least = _largest(products_F, limit)
    more_F = np.flatnonzero((compare.upper_R >= least) & (compare.upper_R < highest))
    rows_F, products_F = np.concatenate([rows_F, more_F]), np.concatenate([products_F, compare.multiply(more_F)])
    is_best_F = products_F >= _largest(products_F, limit)
    return Found(rows_F=rows_F[is_best_F], products_F=products_F[is_best_F])


def _reached(values_N: FloatArray, place: int) -> np.float32:
    """Return a value that at least `place` values reach, and not many more: a quick stand-in for `_largest`.

    The largest of each group of values are values too, and there are 32 times fewer to sort.
    """
    groups = len(values_N) // _ROWS_OF_A_GROUP
    if groups < 4 * place:
        return _largest(values_N, place)
    return _largest(values_N[: groups * _ROWS_OF_A_GROUP].reshape(_ROWS_OF_A_GROUP, groups).max(axis=0), place)


def _largest(values_N: FloatArray, place: int) -> np.float32:
    """Return the value of which `place` values are at least as large; the least finite float32 when there are fewer."""
    least = np.finfo(np.float32).min
    if len(values_N) < place:
        return least
    return max(np.partition(values_N, len(values_N) - place)[len(values_N) - place], least)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS_AT_ONCE, count)) for start in range(0, count, _ROWS_AT_ONCE))


def _do_all(action: Callable[[slice], None], parts: Iterable[slice], pool: Executor) -> None:
    for _ in pool.map(action, parts):
        pass
