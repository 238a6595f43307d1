from __future__ import annotations

import numpy as np
import pytest

from glyphseek.errors import InputError, SettingError
from glyphseek.tokens import TokenCodebook
from glyphseek.types import FloatArray


def rising(rows: int, columns: int) -> FloatArray:
    return np.tile(np.arange(columns, dtype=np.float32), (rows, 1))


def zeros(*shape: int) -> FloatArray:
    return np.zeros(shape, dtype=np.float32)


def eye(rows: int, columns: int) -> FloatArray:
    return np.eye(rows, columns, dtype=np.float32)


def test_a_projection_keeps_its_axes_and_the_mean() -> None:
    codebook = TokenCodebook(token_width=3, mean_E=np.array([1, 2, 3], np.float32), basis_PE=eye(2, 3))
    assert codebook.stored_width == 2
    np.testing.assert_array_equal(codebook.project(np.array([[5, 5, 5]], np.float32)), [[4, 3]])
    np.testing.assert_array_equal(codebook.expand(np.array([[4, 3]], np.float32)), [[5, 5, 3]])


def test_without_a_projection_tokens_are_stored_as_they_are() -> None:
    tokens = np.arange(6, dtype=np.float32).reshape(2, 3)
    codebook = TokenCodebook(token_width=3)
    assert codebook.stored_width == 3
    np.testing.assert_array_equal(codebook.expand(codebook.project(tokens)), tokens)


def test_tokens_of_another_width_are_refused_with_both_widths() -> None:
    with pytest.raises(InputError, match=r"width 4.*for 3"):
        TokenCodebook(token_width=3).project(zeros(1, 4))


def test_tables_that_were_not_fitted_are_told() -> None:
    codebook = TokenCodebook(token_width=3, centroids_CP=zeros(2, 3), values4_P16=rising(3, 16))
    assert codebook.residual_tables(4)[1].shape == (3, 16)
    with pytest.raises(SettingError, match="2 bits"):
        codebook.residual_tables(2)


def test_every_table_is_in_the_fingerprint() -> None:
    tables = {
        "mean_E": zeros(3),
        "basis_PE": eye(2, 3),
        "centroids_CP": zeros(2, 2),
        "values4_P16": rising(2, 16),
        "values2_P4": rising(2, 4),
    }
    first = TokenCodebook(token_width=3, **tables).fingerprint
    assert TokenCodebook(token_width=3, **{name: table.copy() for name, table in tables.items()}).fingerprint == first
    for name, table in tables.items():
        changed = table.copy()
        changed.flat[-1] += 0.5
        assert TokenCodebook(token_width=3, **(tables | {name: changed})).fingerprint != first


def test_tables_cannot_be_written() -> None:
    codebook = TokenCodebook(token_width=3, centroids_CP=zeros(2, 3))
    assert codebook.centroids_CP is not None
    with pytest.raises(ValueError, match="read-only"):
        codebook.centroids_CP[0, 0] = 1


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"mean_E": zeros(3)}, "or neither"),
        ({"mean_E": zeros(2), "basis_PE": eye(2, 3)}, "mean_E"),
        ({"mean_E": zeros(3), "basis_PE": eye(2, 4)}, "basis_PE"),
        ({"centroids_CP": zeros(0, 3)}, "0 centroids"),
        ({"centroids_CP": zeros(2, 4)}, "centroids_CP"),
        ({"centroids_CP": np.full((2, 3), np.nan, np.float32)}, "centroids_CP"),
        ({"centroids_CP": np.zeros((2, 3))}, "float64"),
        ({"values4_P16": rising(3, 15)}, "values4_P16"),
        ({"values2_P4": -rising(3, 4)}, "must rise"),
        ({"mean_E": zeros(3), "basis_PE": zeros(4, 3)}, "at width 4"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables: dict[str, FloatArray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TokenCodebook(token_width=3, **tables)
