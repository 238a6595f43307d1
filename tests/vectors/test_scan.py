from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from glyphseek.errors import GalleryDamaged
from glyphseek.types import FloatArray
from glyphseek.vectors.codes import encode_rows
from glyphseek.vectors.scan import ScanRows, find_largest


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def make_units(seed: int, count: int, width: int = 48) -> FloatArray:
    """Return unit vectors in clusters of very different sizes, as words are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((50, width))
    chosen = np.minimum(rng.geometric(0.08, count), 50) - 1
    vectors = centres[chosen] + rng.standard_normal((count, width)) * rng.uniform(0.1, 1.0, (count, 1))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_rows(vectors_RD: FloatArray, is_live_R: NDArray[np.bool_] | None = None) -> ScanRows:
    codes = encode_rows(vectors_RD)
    return ScanRows(
        codes_RD=codes.codes_RD,
        measures_R3=codes.measures_R3,
        vectors_RD=vectors_RD,
        is_live_R=np.ones(len(vectors_RD), dtype=np.bool_) if is_live_R is None else is_live_R,
    )


def assert_exact(rows: ScanRows, queries_QD: FloatArray, limit: int, pool: Executor) -> None:
    """Compare with the plain definition: the live rows whose product is at least the limit-th largest."""
    for found, query_D in zip(find_largest(rows, queries_QD, limit, pool), queries_QD, strict=True):
        products_R = np.einsum("rd,d->r", rows.vectors_RD, query_D)
        live = np.flatnonzero(rows.is_live_R)
        least = np.sort(products_R[live])[-min(limit, len(live))] if len(live) else 0.0
        assert sorted(found.rows_F.tolist()) == live[products_R[live] >= least].tolist()
        np.testing.assert_array_equal(found.products_F, products_R[found.rows_F])


@pytest.mark.parametrize("queries", [1, 2, 3, 20])
@pytest.mark.parametrize("limit", [1, 7, 400, 30_000])
def test_answers_equal_the_plain_definition(pool: Executor, queries: int, limit: int) -> None:
    assert_exact(make_rows(make_units(1, 20_000)), make_units(2, queries), limit, pool)


@pytest.mark.parametrize("width", [1, 63, 65, 768, 1920])
def test_any_width_is_searched_exactly(pool: Executor, width: int) -> None:
    assert_exact(make_rows(make_units(3, 3000, width)), make_units(4, 3, width), 20, pool)


def test_rows_that_are_not_shown_neither_come_nor_count(pool: Executor) -> None:
    vectors_RD = make_units(5, 9000)
    is_live_R = np.random.default_rng(6).random(9000) < 0.02
    assert_exact(make_rows(vectors_RD, is_live_R), make_units(7, 4), 100, pool)
    assert_exact(make_rows(vectors_RD, is_live_R), make_units(7, 4), 1000, pool)


def test_equal_rows_have_equal_products_wherever_they_stand(pool: Executor) -> None:
    vectors_RD = make_units(8, 10_000, 101)
    places = np.random.default_rng(9).choice(10_000, 777, replace=False)
    vectors_RD[places] = vectors_RD[places[0]]
    (found,) = find_largest(make_rows(vectors_RD), vectors_RD[places[:1]], 5, pool)
    assert sorted(found.rows_F.tolist()) == sorted(places.tolist())
    assert len(set(found.products_F.tolist())) == 1


def test_rows_of_all_lengths_are_compared_by_their_products(pool: Executor) -> None:
    vectors_RD = make_units(10, 5000)
    vectors_RD *= np.random.default_rng(11).lognormal(0, 3, (5000, 1)).astype(np.float32)
    vectors_RD[::7] = 0
    assert_exact(make_rows(vectors_RD), make_units(12, 5), 50, pool)


@pytest.mark.parametrize("queries", [1, 3])
def test_rows_that_only_the_true_products_tell_apart_are_found(pool: Executor, queries: int) -> None:
    """Their bytes are the same, or nearly: thousands of rows within every bound of the best."""
    vectors_RD = np.repeat(make_units(16, 1, 96), 9000, axis=0)
    vectors_RD[:, 0] += np.random.default_rng(17).permutation(9000).astype(np.float32) * 1e-7
    queries_QD = make_units(18, queries, 96)
    queries_QD[:, 0] = 0.5
    assert_exact(make_rows(vectors_RD), queries_QD, 20, pool)


def test_no_rows_give_no_answer(pool: Executor) -> None:
    found = find_largest(make_rows(np.empty((0, 8), dtype=np.float32)), make_units(13, 2, 8), 5, pool)
    assert [one.rows_F.tolist() for one in found] == [[], []]


def test_a_row_that_is_not_what_its_bytes_were_made_of_is_named(pool: Executor) -> None:
    rows = make_rows(make_units(14, 500))
    query_QD = rows.vectors_RD[3:4]
    changed_RD = rows.vectors_RD.copy()
    changed_RD[3, 0] += 0.5
    with pytest.raises(GalleryDamaged, match="not what its bytes were made of"):
        find_largest(replace(rows, vectors_RD=changed_RD), query_QD, 5, pool)
    assert find_largest(rows, query_QD, 1, pool)[0].rows_F.tolist() == [3]


def test_a_row_that_is_not_a_number_is_named(pool: Executor) -> None:
    rows = make_rows(make_units(15, 500))
    changed_RD = rows.vectors_RD.copy()
    changed_RD[3] = np.nan
    with pytest.raises(GalleryDamaged):
        find_largest(replace(rows, vectors_RD=changed_RD), rows.vectors_RD[3:4], 5, pool)
