"""A codebook from sample tokens: the same tokens and settings give the same codebook.

Shape legend: N sample tokens, E the model's token width, P the stored width, C centroids, B bucket values a dimension.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from glyphseek.errors import InputError
from glyphseek.tokens.codebook import TokenCodebook
from glyphseek.tokens.residual import MOST_CENTROIDS, nearest_centroids
from glyphseek.types import FloatArray

_LLOYD_ROUNDS = 100  # 30 leave 16 values of a normal distribution 9 % above the least error, 100 leave 1 %


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a codebook is fitted.

    stored_width: P, None to store tokens at their own width. centroids: C, None for the power of two nearest to
    sqrt(N), at most N; 0 for a codebook without residual tables. sample: tokens to fit on, drawn when there are more.
    rounds: of k-means. seed: of the drawing and of the first centroids.
    """

    stored_width: int | None = None
    centroids: int | None = None
    sample: int = 65_536
    rounds: int = 10
    seed: int = 0


def fit_codebook(tokens_NE: FloatArray, settings: FitSettings | None = None) -> TokenCodebook:
    """Return the codebook of these tokens: principal axes, then centroids in their space, then values of residuals.

    The principal axes are the projection that keeps dot products with queries of any direction best in the mean
    square. Raises InputError for fewer tokens than the stored width or the centroids need.
    """
    settings = settings or FitSettings()
    random = np.random.default_rng(settings.seed)
    sample_NE = _draw(np.ascontiguousarray(tokens_NE, dtype=np.float32), settings.sample, random)
    width = sample_NE.shape[1]
    _check(len(sample_NE), width, settings)
    mean_E, basis_PE = None, None
    stored_NP = sample_NE
    if settings.stored_width is not None:
        mean_E, basis_PE = _principal_axes(sample_NE, settings.stored_width)
        stored_NP = np.asarray((sample_NE - mean_E) @ basis_PE.T, dtype=np.float32)
    count = _count_centroids(len(stored_NP)) if settings.centroids is None else settings.centroids
    if count == 0:
        return TokenCodebook(token_width=width, mean_E=mean_E, basis_PE=basis_PE)
    centroids_CP = _cluster(stored_NP, count, settings.rounds, random)
    residuals_NP = stored_NP - centroids_CP[nearest_centroids(stored_NP, centroids_CP)]
    return TokenCodebook(
        token_width=width,
        mean_E=mean_E,
        basis_PE=basis_PE,
        centroids_CP=centroids_CP,
        values4_P16=fit_buckets(residuals_NP, 16),
        values2_P4=fit_buckets(residuals_NP, 4),
    )


def fit_buckets(residuals_NP: FloatArray, buckets: int) -> FloatArray:
    """Return (P, buckets) values, rising, with least mean squared error for each dimension (Lloyd-Max, 1982).

    It begins with the means of equal parts of the sorted residuals, so every value starts inside the data.
    """
    ordered_NP = np.sort(residuals_NP.astype(np.float64), axis=0)
    sums_NP = np.concatenate([np.zeros((1, ordered_NP.shape[1])), np.cumsum(ordered_NP, axis=0)])
    cuts = np.linspace(0, len(ordered_NP), buckets + 1).astype(np.intp)
    values_PB = np.empty((ordered_NP.shape[1], buckets), dtype=np.float32)
    for place, (ordered_N, sums_N) in enumerate(zip(ordered_NP.T, sums_NP.T, strict=True)):
        values_PB[place] = _lloyd(ordered_N, sums_N, cuts)
    return values_PB


def _lloyd(ordered_N: np.ndarray, sums_N: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    values_B = _means(ordered_N, sums_N, cuts, np.zeros(len(cuts) - 1))
    for _ in range(_LLOYD_ROUNDS):
        edges = np.searchsorted(ordered_N, (values_B[1:] + values_B[:-1]) / 2)
        if np.array_equal(edges, cuts[1:-1]):
            break
        cuts = np.concatenate([[0], edges, [len(ordered_N)]])
        values_B = _means(ordered_N, sums_N, cuts, values_B)
    return values_B


def _means(ordered_N: np.ndarray, sums_N: np.ndarray, cuts: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the mean of each part between cuts; a part without members keeps its value from `otherwise`."""
    counts = np.diff(cuts)
    means = np.where(counts > 0, np.diff(sums_N[cuts]) / np.maximum(counts, 1), otherwise)
    return np.maximum.accumulate(np.clip(means, ordered_N[0], ordered_N[-1]))


def _principal_axes(sample_NE: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    mean_E = sample_NE.mean(axis=0, dtype=np.float64)
    centred = sample_NE.astype(np.float64) - mean_E
    _, vectors_EE = np.linalg.eigh(centred.T @ centred)
    basis_PE = vectors_EE[:, ::-1][:, :count].T
    # An axis and its opposite are the same axis; the one whose largest component is positive is kept.
    largest = np.abs(basis_PE).argmax(axis=1)
    signs = np.where(basis_PE[np.arange(count), largest] < 0, -1.0, 1.0)
    return mean_E.astype(np.float32), np.ascontiguousarray(basis_PE * signs[:, None], dtype=np.float32)


def _cluster(stored_NP: FloatArray, count: int, rounds: int, random: np.random.Generator) -> FloatArray:
    first_CP = stored_NP[random.choice(len(stored_NP), count, replace=False)]
    with warnings.catch_warnings():
        # A centroid that loses all its tokens stays where it is and is never the nearest: harmless.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centroids_CP, _ = kmeans2(stored_NP, first_CP, iter=rounds, minit="matrix", missing="warn")
    return np.ascontiguousarray(centroids_CP, dtype=np.float32)


def _draw(tokens_NE: FloatArray, count: int, random: np.random.Generator) -> FloatArray:
    if len(tokens_NE) <= count:
        return tokens_NE
    return tokens_NE[np.sort(random.choice(len(tokens_NE), count, replace=False))]


def _count_centroids(tokens: int) -> int:
    return min(tokens, MOST_CENTROIDS, 2 ** round(math.log2(max(1, tokens)) / 2))


def _check(tokens: int, width: int, settings: FitSettings) -> None:
    if settings.stored_width is not None and not 1 <= settings.stored_width <= min(width, tokens):
        raise InputError(
            f"tokens of width {width} cannot be stored at width {settings.stored_width} fitted on {tokens} tokens"
        )
    if settings.centroids is not None and not 0 <= settings.centroids <= min(tokens, MOST_CENTROIDS):
        raise InputError(f"{settings.centroids} centroids cannot be fitted on {tokens} tokens")
    if tokens == 0:
        raise InputError("a codebook cannot be fitted on no tokens")
