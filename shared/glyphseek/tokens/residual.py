"""Residual codes: a token is the number of its nearest centroid and, for every component, which of 16 (four bits) or 4
(two bits) learned values is nearest to what the centroid leaves over. After ColBERTv2 (Santhanam et al. 2022, 3.3),
with bucket values of each dimension's own.

Error bound: let r be the token minus its centroid and v_1 <= ... <= v_B the values of its dimension. A component with
v_1 <= r <= v_B returns within half the gap between the two values around r; one outside returns as the outermost
value, so its error is its distance to it (both up to a rounding of float32). `largest_error` computes just that. On
tokens like those the codebook was fitted on, the root mean square of |x' - x| is about 0.10 (four bits) or 0.35 (two)
of that of the distance to the centroid; tests hold it under 0.12 and 0.40.

Bytes: N centroid numbers as u16, then N rows of codes, the first component in the lowest bits of its byte; what is left
of a row's last byte is zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphseek.types import FloatArray

CodeArray = NDArray[np.uint8]
IdArray = NDArray[np.uint16]

MOST_CENTROIDS = 2**16
_BLOCK = 4096
_CACHED_ROWS = 400


def size(tokens: int, width: int, bits: int) -> int:
    """Return how many bytes `tokens` of `width` components of `bits` bits take, centroid numbers included."""
    return tokens * (2 + row_bytes(width, bits))


def row_bytes(width: int, bits: int) -> int:
    """Return how many bytes hold the codes of one token."""
    return -(-width * bits // 8)


def nearest_centroids(tokens_NP: FloatArray, centroids_CP: FloatArray) -> IdArray:
    """Return for each token the number of its nearest centroid; of equally near ones, the first."""
    halves_C = 0.5 * np.einsum("cp,cp->c", centroids_CP, centroids_CP)
    ids_N = np.empty(len(tokens_NP), dtype=np.uint16)
    for start in range(0, len(tokens_NP), _BLOCK):
        block = slice(start, start + _BLOCK)
        ids_N[block] = (tokens_NP[block] @ centroids_CP.T - halves_C).argmax(axis=1)
    return ids_N


def encode(tokens_NP: FloatArray, centroids_CP: FloatArray, values_PB: FloatArray) -> bytes:
    """Return (N, P) tokens as bytes. `values_PB` rises along B, and B is 16 or 4."""
    ids_N = nearest_centroids(tokens_NP, centroids_CP)
    buckets_NP = nearest_buckets(tokens_NP - centroids_CP[ids_N], values_PB)
    return ids_N.astype("<u2").tobytes() + join_codes(buckets_NP, _bits_of(values_PB)).tobytes()


def decode(ids_N: IdArray, codes_NR: CodeArray, centroids_CP: FloatArray, bytes_RBS: FloatArray) -> FloatArray:
    """Return the (N, P) tokens that `encode` stored, from centroid numbers and rows of codes.

    `bytes_RBS` is `tabulate_bytes` of the values that they were encoded with.
    """
    return centroids_CP[ids_N] + look_up(codes_NR, bytes_RBS)[:, : centroids_CP.shape[1]]


def tabulate_bytes(values_PB: FloatArray) -> FloatArray:
    """Return (R, 256, S): the S components that each byte stands for in column r of the codes; past P they are 0."""
    width, buckets = values_PB.shape
    bits = _bits_of(values_PB)
    columns, per_byte = row_bytes(width, bits), 8 // bits
    padded = np.zeros((columns * per_byte, buckets), dtype=np.float32)
    padded[:width] = values_PB
    codes_BS = split_codes(np.arange(256, dtype=np.uint8)[:, None], per_byte, bits)
    places_RBS = per_byte * np.arange(columns)[:, None, None] + np.arange(per_byte)
    return padded[places_RBS, codes_BS]


def look_up(codes_NR: CodeArray, bytes_RBS: FloatArray) -> FloatArray:
    """Return (N, R x S) components of codes, without their centroids.

    The S components of a byte are moved as one item of 8 or 16 bytes, in blocks that stay in the cache: 1.1 ms of one
    core for 12,800 x 128 components of four bits and 0.6 ms for two, where torch's embedding takes 2.6 and 1.1.
    """
    columns, values, components = bytes_RBS.shape
    item = {2: np.uint64, 4: np.complex128}[components]
    items = np.ascontiguousarray(bytes_RBS).reshape(-1).view(item)
    found_NR = np.empty((len(codes_NR), columns), dtype=item)
    places_R = values * np.arange(columns)
    for start in range(0, len(codes_NR), _CACHED_ROWS):
        block = slice(start, start + _CACHED_ROWS)
        items.take(codes_NR[block] + places_R, out=found_NR[block], mode="clip")
    return found_NR.view(np.float32).reshape(len(codes_NR), columns * components)


def nearest_buckets(residuals_NP: FloatArray, values_PB: FloatArray) -> CodeArray:
    """Return for each component the number of the nearest of its dimension's values; halfway, the lower one."""
    edges_PB = (values_PB[:, 1:] + values_PB[:, :-1]) / 2
    buckets_NP = np.zeros(residuals_NP.shape, dtype=np.uint8)
    for edges_P in edges_PB.T:
        buckets_NP += residuals_NP > edges_P
    return buckets_NP


def largest_error(tokens_NP: FloatArray, centroids_CP: FloatArray, values_PB: FloatArray) -> FloatArray:
    """Return the written bound for each component of (N, P) tokens, without the rounding of float32."""
    residuals_NP = tokens_NP - centroids_CP[nearest_centroids(tokens_NP, centroids_CP)]
    lowest_P, highest_P = values_PB[:, 0], values_PB[:, -1]
    bounds_NP = np.maximum(np.maximum(lowest_P - residuals_NP, residuals_NP - highest_P), 0).astype(np.float32)
    for low_P, high_P in zip(values_PB.T[:-1], values_PB.T[1:], strict=True):
        is_between_NP = (residuals_NP >= low_P) & (residuals_NP <= high_P)
        bounds_NP = np.where(is_between_NP, np.maximum(bounds_NP, (high_P - low_P) / 2), bounds_NP)
    return bounds_NP


def join_codes(buckets_NP: CodeArray, bits: int) -> CodeArray:
    """Return (N, R) bytes that hold (N, P) numbers under 2 ** bits, the first in the lowest bits."""
    per_byte = 8 // bits
    rows, width = buckets_NP.shape
    padded = np.zeros((rows, row_bytes(width, bits) * per_byte), dtype=np.uint8)
    padded[:, :width] = buckets_NP
    joined_NR = np.zeros((rows, row_bytes(width, bits)), dtype=np.uint8)
    for place in range(per_byte):
        joined_NR |= padded[:, place::per_byte] << (bits * place)
    return joined_NR


def split_codes(codes_NR: CodeArray, width: int, bits: int) -> CodeArray:
    """Return the (N, width) numbers that `join_codes` joined."""
    per_byte, mask = 8 // bits, np.uint8(2**bits - 1)
    split = np.empty((*codes_NR.shape, per_byte), dtype=np.uint8)
    for place in range(per_byte):
        split[:, :, place] = (codes_NR >> np.uint8(bits * place)) & mask
    return split.reshape(len(codes_NR), per_byte * codes_NR.shape[1])[:, :width]


def _bits_of(values_PB: FloatArray) -> int:
    return {16: 4, 4: 2}[values_PB.shape[1]]
