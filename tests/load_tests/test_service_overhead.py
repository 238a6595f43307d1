"""The overhead of services is only told of answers that are the same."""

from __future__ import annotations

import pytest
from service_overhead import TOLERANCE, Answer, compare

EXPECTED = Answer(hits=(("a", 0.9), ("b", 0.4)), is_degraded=False)


@pytest.mark.parametrize("shift", [0.0, TOLERANCE / 2, -TOLERANCE / 2])
def test_scores_that_differ_by_less_than_the_tolerance_are_the_same_answer(shift: float) -> None:
    assert compare(Answer(hits=(("a", 0.9 + shift), ("b", 0.4)), is_degraded=False), EXPECTED) is None


def test_one_score_that_differs_by_more_is_told() -> None:
    answer = Answer(hits=(("a", 0.9), ("b", 0.4 + 2 * TOLERANCE)), is_degraded=False)
    assert compare(answer, EXPECTED) == "scores differ by 0.002"


@pytest.mark.parametrize("hits", [(), (("b", 0.4), ("a", 0.9)), (("a", 0.9),), (("a", 0.9), ("c", 0.4))])
def test_other_images_or_another_order_are_told(hits: tuple[tuple[str, float], ...]) -> None:
    assert str(compare(Answer(hits=hits, is_degraded=False), EXPECTED)).startswith("images ")


def test_no_hits_twice_are_the_same_answer() -> None:
    nothing = Answer(hits=(), is_degraded=False)
    assert compare(nothing, nothing) is None
