from __future__ import annotations

import numpy as np

from glyphseek.vectors.growing import GrowingArray


def test_rows_come_back_in_the_order_they_were_added() -> None:
    array = GrowingArray(np.arange(6).reshape(3, 2))
    for start in range(6, 600, 6):
        array.add(np.arange(start, start + 6).reshape(3, 2))
    assert np.array_equal(array.rows(), np.arange(600).reshape(300, 2))


def test_what_was_handed_out_stays_as_it_was() -> None:
    array = GrowingArray(np.empty((0, 1), dtype=np.int8))
    before: list[np.ndarray] = []
    for value in range(50):
        array.add(np.full((3, 1), value, dtype=np.int8))
        before.append(array.rows())
    assert all(np.array_equal(rows.ravel(), np.repeat(np.arange(n + 1), 3)) for n, rows in enumerate(before))


def test_dropped_rows_are_gone_and_their_place_is_used_again() -> None:
    array = GrowingArray(np.array([1, 2]))
    kept = array.rows()
    array.add(np.array([3, 4, 5]))
    array.drop(2)
    assert array.rows().tolist() == [1, 2, 3]
    array.add(np.array([6]))
    assert array.rows().tolist() == [1, 2, 3, 6]
    assert kept.tolist() == [1, 2]
