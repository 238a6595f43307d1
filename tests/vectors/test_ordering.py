from __future__ import annotations

import pytest

from glyphseek.types import RowHit
from glyphseek.vectors.ordering import settle_hits


def name_row(row: int, similarity: float) -> RowHit | None:
    """Row 10 is instance 0 of image 1, and so on; rows from 90 on may not be shown."""
    if row >= 90:
        return None
    return RowHit(image_id=str(row // 10), instance=row % 10, similarity=similarity)


def settle(found: list[tuple[int, float]], limit: int, *, is_all: bool = False) -> list[str] | None:
    hits = settle_hits(found, name_row=name_row, limit=limit, is_all=is_all)
    return None if hits is None else [f"{hit.image_id}.{hit.instance}" for hit in hits]


def test_one_worse_row_beyond_the_limit_settles_the_answer() -> None:
    assert settle([(30, 0.9), (10, 0.8), (20, 0.7)], 2) == ["3.0", "1.0"]


def test_a_tie_at_the_end_of_what_was_found_asks_for_more() -> None:
    assert settle([(30, 0.9), (20, 0.8), (10, 0.8)], 2) is None


def test_a_tie_that_ends_before_the_last_row_is_ordered_by_id_and_cut() -> None:
    assert settle([(30, 0.9), (21, 0.8), (20, 0.8), (10, 0.8), (40, 0.7)], 3) == ["3.0", "1.0", "2.0"]


@pytest.mark.parametrize("hidden", [(90, 0.95), (91, 0.1)])
def test_hidden_rows_do_not_count_towards_the_limit(hidden: tuple[int, float]) -> None:
    found = sorted([(30, 0.9), (20, 0.8), hidden], key=lambda row: -row[1])
    assert settle(found, 2) is None
    assert settle(found, 2, is_all=True) == ["3.0", "2.0"]


def test_all_rows_settle_even_a_tie() -> None:
    assert settle([(20, 0.8), (10, 0.8)], 1, is_all=True) == ["1.0"]


def test_nothing_found_is_settled_only_when_it_is_all() -> None:
    assert settle([], 3) is None
    assert settle([], 3, is_all=True) == []
