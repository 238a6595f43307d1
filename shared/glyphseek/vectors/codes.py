"""Vectors as bytes, and how far an inner product of bytes may lie from the true one: proven, not measured.

A row x is kept as x = scale * code + rest, with codes in [-127, 127] and the length of the rest known. A query is
written with one such code, or with two, coarse and fine, so that next to nothing is left of it. The inner product of
the coded parts is a sum of integers, and by Cauchy and Schwarz what it leaves out is little:

    <q, x> = <q', x - rest> + <q', rest> + <q - q', x>      with q' the coded query
    |<q', rest>| <= |q'| * |rest|,  |<q - q', x>| <= |q - q'| * |x|

R rows, Q queries, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.types import FloatArray

_LEVELS = 127
_FINER = 2 * _LEVELS  # a step of the fine code is half the coarse one's, cut into 127
_LEAST_SCALE = 1e-30
_ROUNDING = 1.0001  # lengths are rounded to float32 after they are computed in float64

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCodes:
    """Rows as bytes. measures_R3: the scale of each row, the length of its rest, its own length."""

    codes_RD: Codes
    measures_R3: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCodes:
    """Queries as bytes: all coarse codes, then all fine ones if there are any.

    lengths_Q: a length that neither the query nor its coded part exceeds. `share`: what is left of a query, in lengths.
    """

    codes_SD: Codes  # S = Q or 2Q
    scales_Q: FloatArray
    lengths_Q: FloatArray
    share: float


def encode_rows(vectors_RD: FloatArray) -> RowCodes:
    """Return rows as bytes; the largest coordinate of a row becomes 127 or -127."""
    scales_R = _scales(vectors_RD)
    codes_RD = np.rint(vectors_RD / scales_R[:, None])
    rests_RD = vectors_RD - codes_RD.astype(np.float64) * scales_R[:, None]
    lengths_R2 = np.stack([np.linalg.norm(rests_RD, axis=1), np.linalg.norm(vectors_RD, axis=1)], axis=1)
    measures_R3 = np.concatenate([scales_R[:, None], lengths_R2 * _ROUNDING], axis=1)
    return RowCodes(codes_RD=codes_RD.astype(np.int8), measures_R3=measures_R3.astype(np.float32))


def encode_queries(vectors_QD: FloatArray, *, is_fine: bool = True) -> QueryCodes:
    """Return queries as bytes, coarse and fine, or coarse only: half the work, with bounds about twice as wide."""
    scales_Q = _scales(vectors_QD)
    exact_QD = vectors_QD.astype(np.float64) / scales_Q[:, None]
    codes = [np.rint(exact_QD)]
    coded_QD = codes[0]
    if is_fine:
        codes.append(np.clip(np.rint((exact_QD - coded_QD) * _FINER), -_LEVELS, _LEVELS))
        coded_QD = coded_QD + codes[1] / _FINER
    left_Q = np.linalg.norm(vectors_QD - coded_QD * scales_Q[:, None], axis=1)
    lengths_Q = np.linalg.norm(vectors_QD.astype(np.float64), axis=1) + left_Q
    shares_Q = np.divide(left_Q, lengths_Q, out=np.zeros_like(left_Q), where=lengths_Q > 0)
    return QueryCodes(
        codes_SD=np.concatenate(codes).astype(np.int8),
        scales_Q=scales_Q.astype(np.float32),
        lengths_Q=(lengths_Q * _ROUNDING).astype(np.float32),
        share=float(shares_Q.max(initial=0.0)) * _ROUNDING,
    )


def bound_products(sums_SR: FloatArray, queries: QueryCodes, measures_R3: FloatArray) -> FloatArray:
    """Return `upper_QR`, which no inner product exceeds; takes `sums_SR`, the inner products of codes, and changes it.

    No inner product, as float32 arithmetic of any order gives it, is below `upper_QR - 2 * lengths_Q * slack_of(...)`
    either.
    """
    count = len(queries.scales_Q)
    upper_QR, fine_QR = sums_SR[:count], sums_SR[count:]
    if len(fine_QR):
        upper_QR += np.multiply(fine_QR, np.float32(1 / _FINER), out=fine_QR)
    upper_QR *= np.multiply.outer(queries.scales_Q, measures_R3[:, 0])
    upper_QR += np.multiply.outer(queries.lengths_Q, slack_of(measures_R3, queries))
    return upper_QR


def slack_of(measures_R3: FloatArray, queries: QueryCodes) -> FloatArray:
    """Return for each row how far, in units of a query's length, coded and true products may lie apart."""
    width = queries.codes_SD.shape[1]
    rounding = (width + 16) * 2.0**-24  # of a float32 inner product in any order, and of the few steps above
    slack_R = measures_R3[:, 1] + np.float32(queries.share + rounding) * measures_R3[:, 2]
    return slack_R.astype(np.float32, copy=False)


def _scales(vectors_ND: FloatArray) -> NDArray[np.float64]:
    largest_N = np.abs(vectors_ND).max(axis=1, initial=0.0).astype(np.float64)
    # The float32 that is stored must be the one that codes were made with, and zero rows must not divide by zero.
    scales_N = (largest_N / _LEVELS).astype(np.float32).astype(np.float64)
    return np.where(scales_N > _LEAST_SCALE, scales_N, 1.0)
