from __future__ import annotations

import numpy as np
import pytest

from glyphseek.types import FloatArray
from glyphseek.vectors.codes import bound_products, encode_queries, encode_rows, slack_of

KINDS = ("normal", "heavy-tailed", "sparse", "saturated", "tiny", "large", "zero")


def make_vectors(kind: str, seed: int, count: int = 40, width: int = 100) -> FloatArray:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, width))
    match kind:
        case "heavy-tailed":
            values = values**5
        case "sparse":
            values *= rng.random(values.shape) < 0.05
        case "saturated":
            values = np.tanh(20 * values)
        case "tiny":
            return (1e-33 * values).astype(np.float32)
        case "large":
            return (1e6 * values).astype(np.float32)
        case "zero":
            values[::2] = 0
        case _:
            pass
    return (values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def bound(rows_RD: FloatArray, queries_QD: FloatArray, *, is_fine: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return the upper bounds (R, Q) and how far below them products may lie."""
    rows, queries = encode_rows(rows_RD), encode_queries(queries_QD, is_fine=is_fine)
    sums_SR = (queries.codes_SD.astype(np.int64) @ rows.codes_RD.astype(np.int64).T).astype(np.float32)
    upper_RQ = bound_products(sums_SR, queries, rows.measures_R3).T
    return upper_RQ, 2 * np.outer(slack_of(rows.measures_R3, queries), queries.lengths_Q)


@pytest.mark.parametrize("rows_kind", KINDS)
@pytest.mark.parametrize("queries_kind", KINDS)
@pytest.mark.parametrize("is_fine", [True, False])
def test_every_product_lies_within_its_bounds(rows_kind: str, queries_kind: str, is_fine: bool) -> None:
    rows_RD, queries_QD = make_vectors(rows_kind, 1), make_vectors(queries_kind, 2, count=9)
    rows_RD[:9] = queries_QD  # the largest products there are
    upper_RQ, room_RQ = bound(rows_RD, queries_QD, is_fine=is_fine)
    exact_RQ = (rows_RD.astype(np.float64) @ queries_QD.astype(np.float64).T).astype(np.float32)
    for products_RQ in (exact_RQ, rows_RD @ queries_QD.T):
        assert (products_RQ <= upper_RQ).all()
        assert (products_RQ >= upper_RQ - room_RQ).all()


def test_bounds_of_unit_vectors_are_narrow() -> None:
    _, room_RQ = bound(make_vectors("normal", 3, width=768), make_vectors("normal", 4, width=768))
    assert room_RQ.max() < 0.025
    assert np.median(room_RQ) < 0.018


def test_bounds_by_coarse_codes_alone_are_about_twice_as_wide() -> None:
    rows_RD, queries_QD = make_vectors("normal", 3, width=768), make_vectors("normal", 4, width=768)
    wide_RQ, narrow_RQ = bound(rows_RD, queries_QD, is_fine=False)[1], bound(rows_RD, queries_QD)[1]
    assert (wide_RQ > narrow_RQ).all()
    assert (wide_RQ < 2.6 * narrow_RQ).all()


def test_a_row_is_its_scale_times_its_code_and_a_rest_of_the_length_that_is_told() -> None:
    rows_RD = make_vectors("heavy-tailed", 5)
    rows = encode_rows(rows_RD)
    rests_RD = rows_RD - rows.codes_RD * rows.measures_R3[:, :1].astype(np.float64)
    np.testing.assert_allclose(rows.measures_R3[:, 1], np.linalg.norm(rests_RD, axis=1), rtol=2e-4)
    np.testing.assert_allclose(rows.measures_R3[:, 2], np.linalg.norm(rows_RD, axis=1), rtol=2e-4)
    assert (np.abs(rows.codes_RD).max(axis=1) == 127).all()


def test_no_rows_and_no_queries_make_empty_bounds() -> None:
    upper_RQ, _ = bound(np.empty((0, 8), dtype=np.float32), np.empty((0, 8), dtype=np.float32))
    assert upper_RQ.shape == (0, 0)
