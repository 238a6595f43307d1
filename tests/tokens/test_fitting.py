from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from tokens.makers import clustered_units, random_units

from glyphseek.errors import InputError
from glyphseek.tokens.fitting import FitSettings, fit_buckets, fit_codebook
from glyphseek.tokens.residual import nearest_buckets, nearest_centroids
from glyphseek.types import FloatArray


def flat_units(rows: int, width: int, rank: int) -> FloatArray:
    """Return tokens that lie close to `rank` directions beside a mean."""
    random = np.random.default_rng(rank)
    directions = random_units(random, rank, width)
    tokens = 0.5 + random.standard_normal((rows, rank)) @ directions + 0.01 * random.standard_normal((rows, width))
    return tokens.astype(np.float32)


def test_the_same_tokens_give_the_same_codebook() -> None:
    tokens = clustered_units(np.random.default_rng(1), 700, 16)
    first, second = (fit_codebook(tokens, FitSettings(stored_width=8, sample=500)) for _ in range(2))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("change", [{"seed": 1}, {"stored_width": 7}, {"centroids": 9}])
def test_other_settings_give_another_fingerprint(change: dict[str, int]) -> None:
    tokens = clustered_units(np.random.default_rng(1), 300, 16)
    base = {"stored_width": 8, "centroids": 16}
    assert (
        fit_codebook(tokens, FitSettings(**base)).fingerprint
        != fit_codebook(tokens, FitSettings(**(base | change))).fingerprint
    )


def test_the_projection_spans_the_axes_that_scikit_learn_finds() -> None:
    tokens = flat_units(400, 20, 5)
    codebook = fit_codebook(tokens, FitSettings(stored_width=5, centroids=0))
    known = PCA(n_components=5).fit(tokens)
    assert codebook.basis_PE is not None
    assert codebook.mean_E is not None
    overlaps = np.abs((codebook.basis_PE * np.asarray(known.components_)).sum(axis=1))
    np.testing.assert_allclose(overlaps, 1, atol=1e-3)
    np.testing.assert_allclose(codebook.mean_E, known.mean_, atol=1e-5)


def test_tokens_near_the_axes_keep_their_dot_products() -> None:
    tokens = flat_units(400, 20, 5)
    codebook = fit_codebook(tokens, FitSettings(stored_width=5, centroids=0))
    queries = random_units(np.random.default_rng(3), 50, 20)
    found = codebook.expand(codebook.project(tokens)) @ queries.T
    assert np.abs(found - tokens @ queries.T).max() < 0.05


def test_a_full_projection_loses_nothing() -> None:
    tokens = random_units(np.random.default_rng(2), 100, 12)
    codebook = fit_codebook(tokens, FitSettings(stored_width=12, centroids=0))
    np.testing.assert_allclose(codebook.expand(codebook.project(tokens)), tokens, atol=1e-6)


def test_clustered_tokens_find_their_clusters() -> None:
    tokens = clustered_units(np.random.default_rng(6), 3000, 32, spread=0.1)
    codebook = fit_codebook(tokens, FitSettings(centroids=64, rounds=10))
    assert codebook.centroids_CP is not None
    left = tokens - codebook.centroids_CP[nearest_centroids(tokens, codebook.centroids_CP)]
    assert np.linalg.norm(left, axis=1).mean() < 0.12


@pytest.mark.parametrize("buckets", [4, 16])
def test_bucket_values_of_a_normal_distribution_are_those_of_the_literature(buckets: int) -> None:
    # Max (1960), table I: mean squared error of the best quantiser of the unit normal distribution.
    published = {4: 0.1175, 16: 0.009497}[buckets]
    sample = np.random.default_rng(1).standard_normal((200_000, 1)).astype(np.float32)
    values_PB = fit_buckets(sample, buckets)
    error = sample[:, 0] - values_PB[0, nearest_buckets(sample, values_PB)[:, 0]]
    assert (error**2).mean() == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize("column", [np.zeros(50), np.repeat([0.0, 1.0], 25), np.arange(50.0) // 10])
def test_few_different_residuals_return_exactly(column: FloatArray) -> None:
    residuals = column.astype(np.float32)[:, None]
    values_PB = fit_buckets(residuals, 16)
    assert (np.diff(values_PB) >= 0).all()
    np.testing.assert_array_equal(values_PB[0, nearest_buckets(residuals, values_PB)[:, 0]], residuals[:, 0])


def test_the_number_of_centroids_follows_the_sample() -> None:
    tokens = clustered_units(np.random.default_rng(1), 1024, 4)
    found = fit_codebook(tokens, FitSettings(rounds=1)).centroids_CP
    assert found is not None
    assert len(found) == 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FitSettings(stored_width=9), "width 9"),
        (FitSettings(stored_width=0), "width 0"),
        (FitSettings(centroids=11), "11 centroids"),
        (FitSettings(centroids=-1), "-1 centroids"),
    ],
)
def test_settings_that_the_sample_cannot_meet_are_refused(settings: FitSettings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_codebook(random_units(np.random.default_rng(1), 10, 8), settings)


def test_no_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="no tokens"):
        fit_codebook(np.zeros((0, 8), dtype=np.float32))
