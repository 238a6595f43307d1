"""Exact search over rows in this process: bound each row by its bytes, then compare those that may be among the best.

All rows are multiplied with one code of each query, which gives wide bounds. The highest are compared as they were
given; of the others, those that may still count are multiplied with two codes, which gives narrow bounds, and what
these leave is compared too.

numkong multiplies bytes with whatever instructions the processor has for it (AVX-512 VNNI, AVX2, NEON), several queries
in one pass over the rows.

R rows, Q queries, D width, S = 2Q codes of queries, F rows that were found for one query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import GalleryDamaged
from glyphseek.types import FloatArray
from glyphseek.vectors.codes import Codes, QueryCodes, bound_products, encode_queries, slack_of

_ROWS_AT_ONCE = 4096  # their bounds stay in the second-level cache
_ROWS_FETCHED = 1024  # and so many codes
_ROWS_OF_A_TASK = 4 * _ROWS_AT_ONCE  # handing a task to a thread takes 30 us
_QUERIES_AT_ONCE = 16  # bounds take 4 bytes a row and query
_FEW_CODES = 2  # 100,000 rows of width 768 take 2.4 ms for each code one by one; all together 6 ms for 3, 8 ms for 7
_CACHE_LINE = 64
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
    upper_QR = _bound_all(rows, encode_queries(vectors_QD, is_fine=False), pool)

    def settle(query: int) -> Found:
        return _settle(_Comparison(rows, vectors_QD[query]), upper_QR[query], limit)

    return list(pool.map(settle, range(len(vectors_QD))))


def _bound_all(rows: ScanRows, queries: QueryCodes, pool: Executor) -> FloatArray:
    """Return (Q, R) upper bounds of the inner products; those of rows that do not count are minus infinity."""
    upper_QR = np.empty((len(queries.scales_Q), len(rows.codes_RD)), dtype=np.float32)
    multiply = _multiplier(queries.codes_SD)

    def bound(task: slice) -> None:
        for part in _parts(task.start, task.stop, _ROWS_AT_ONCE):
            found_QR = bound_products(multiply(rows.codes_RD[part]), queries, rows.measures_R3[part])
            is_live_R = rows.is_live_R[part]
            if not is_live_R.all():
                found_QR[:, ~is_live_R] = -np.inf
            upper_QR[:, part] = found_QR

    for _ in pool.map(bound, _parts(0, len(rows.codes_RD), _ROWS_OF_A_TASK)):
        pass
    return upper_QR


def _multiplier(codes_SD: Codes) -> Callable[[Codes], FloatArray]:
    """Return the function from row codes to their (S, R) inner products with these, rounded to float32."""
    from numkong import cdist, dots_pack, dots_packed

    if len(codes_SD) <= _FEW_CODES:

        def multiply_each(codes_RD: Codes) -> FloatArray:
            sums_RS = np.asarray(cdist(codes_RD, codes_SD, "dot", out_dtype="float32")).reshape(len(codes_RD), -1)
            return np.ascontiguousarray(sums_RS.T)

        return multiply_each
    packed_SD = dots_pack(codes_SD)

    def multiply_together(codes_RD: Codes) -> FloatArray:
        sums_SR = np.empty((len(codes_SD), len(codes_RD)), dtype=np.float32)
        for part in _parts(0, len(codes_RD), _ROWS_FETCHED):
            _fetch(codes_RD[part])
            sums_SR[:, part] = np.asarray(dots_packed(codes_RD[part], packed_SD)).T
        return sums_SR

    return multiply_together


def _fetch(codes_RD: Codes) -> None:
    """Read one byte of each cache line, in the order of the memory.

    `dots_packed` goes down columns of many rows, which the processor does not foresee; with the rows in the cache it
    takes 8 ms instead of 14 (100,000 rows of width 768, 7 codes), this reading included.
    """
    codes_RD.reshape(-1)[::_CACHE_LINE].max(initial=0)


@dataclass(frozen=True, slots=True)
class _Bounded:
    """F rows, and what their inner products with one query are at least and at most."""

    rows_F: Rows
    lower_F: FloatArray
    upper_F: FloatArray

    def reaching(self, value: np.float32) -> _Bounded:
        """Return those that may have the value or more."""
        may_F = self.upper_F >= value
        return _Bounded(self.rows_F[may_F], self.lower_F[may_F], self.upper_F[may_F])


class _Comparison:
    """One query against chosen rows: narrow bounds by both its codes, and the true products."""

    def __init__(self, rows: ScanRows, vector_D: FloatArray) -> None:
        self._rows = rows
        self._vector_D = vector_D
        self._codes = encode_queries(vector_D[None])
        self._multiply = _multiplier(self._codes.codes_SD)

    def bound(self, rows_F: Rows) -> _Bounded:
        """Return rows with narrow bounds."""
        measures_F3 = self._rows.measures_R3[rows_F]
        upper_F = np.empty(len(rows_F), dtype=np.float32)
        for part in _parts(0, len(rows_F), _ROWS_AT_ONCE):
            sums_SF = self._multiply(self._rows.codes_RD[rows_F[part]])
            upper_F[part] = bound_products(sums_SF, self._codes, measures_F3[part])[0]
        room = np.float32(2.0001) * self._codes.lengths_Q[0]
        return _Bounded(rows_F, upper_F - room * slack_of(measures_F3, self._codes), upper_F)

    def multiply(self, bounded: _Bounded) -> FloatArray:
        """Return the inner products of rows. They do not depend on the place of a row.

        Raises GalleryDamaged for one outside its bounds.
        """
        # einsum goes over each row in the same way; a matrix product may not, and equal rows would no longer tie.
        parts = (
            np.einsum("rd,d->r", self._rows.vectors_RD[bounded.rows_F[part]], self._vector_D)
            for part in _parts(0, len(bounded.rows_F), _ROWS_AT_ONCE)
        )
        products_F = np.concatenate([np.empty(0, dtype=np.float32), *parts])
        if not ((bounded.lower_F <= products_F) & (products_F <= bounded.upper_F)).all():
            raise GalleryDamaged("a row of the search table is not what its bytes were made of")
        return products_F


def _settle(compare: _Comparison, upper_R: FloatArray, limit: int) -> Found:
    """Compare the rows that may be among the `limit` best, as far as bounds tell which those are.

    `upper_R` are wide bounds. The products of the `limit` rows that are highest in them, or of some more, give a value
    that the worst of the best reaches; the other rows that may reach it are bounded narrowly, and few of them are left.
    """
    highest = compare.bound(np.flatnonzero(upper_R >= _reached(upper_R, limit)))
    products_F = compare.multiply(highest)
    may_count_R = upper_R >= _largest(products_F, limit)
    may_count_R[highest.rows_F] = False
    others = compare.bound(np.flatnonzero(may_count_R))
    others = others.reaching(_largest(np.concatenate([products_F, others.lower_F]), limit))
    rows_F = np.concatenate([highest.rows_F, others.rows_F])
    products_F = np.concatenate([products_F, compare.multiply(others)])
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


def _parts(start: int, stop: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))
