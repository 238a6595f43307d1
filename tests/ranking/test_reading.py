import numpy as np
import pytest

from glyphseek.ranking import adjacency
from glyphseek.ranking.reading import APART, LINE_BREAK
from glyphseek.types import FloatArray

HIGH = 0.1
"""Height of a text line in these tests, in image heights."""


def boxes(*rows: tuple[float, float, float, float]) -> FloatArray:
    return np.array(rows, dtype=np.float32)


def near(*rows: tuple[float, float, float, float], aspect: float = 1.0) -> FloatArray:
    return adjacency(boxes(*rows), aspect)


def test_words_of_one_line_are_read_from_left_to_right() -> None:
    factors = near((0.1, 0.1, 0.3, 0.2), (0.33, 0.1, 0.4, 0.2), (0.43, 0.1, 0.8, 0.2))
    assert factors[0, 1] == factors[1, 2] == 1.0
    assert factors[1, 0] == factors[2, 1] == factors[2, 0] == pytest.approx(APART)
    assert not factors.diagonal().any()


def test_a_word_left_out_in_between_costs_a_part() -> None:
    factors = near((0.1, 0.1, 0.3, 0.2), (0.52, 0.1, 0.8, 0.2))
    assert 0.2 < factors[0, 1] < 0.9


def test_the_space_between_words_is_measured_in_text_heights() -> None:
    small = near((0.1, 0.10, 0.3, 0.12), (0.4, 0.10, 0.6, 0.12))
    large = near((0.1, 0.10, 0.3, 0.20), (0.4, 0.10, 0.6, 0.20))
    assert small[0, 1] == pytest.approx(APART)
    assert large[0, 1] == 1.0


def test_a_wide_photo_widens_the_space() -> None:
    rows = ((0.1, 0.1, 0.3, 0.2), (0.42, 0.1, 0.6, 0.2))
    assert near(*rows, aspect=1.0)[0, 1] == 1.0
    assert near(*rows, aspect=3.0)[0, 1] == pytest.approx(APART)


def test_boxes_cut_too_wide_are_still_neighbours() -> None:
    assert near((0.1, 0.1, 0.34, 0.2), (0.3, 0.1, 0.6, 0.2))[0, 1] == 1.0


def test_a_box_inside_another_is_not_read_after_it() -> None:
    assert near((0.1, 0.1, 0.6, 0.2), (0.2, 0.1, 0.5, 0.2))[0, 1] == pytest.approx(APART)


def test_words_of_a_slanted_line_are_neighbours() -> None:
    assert near((0.1, 0.1, 0.3, 0.2), (0.32, 0.15, 0.5, 0.25))[0, 1] == 1.0


def test_small_print_beside_a_headline_is_not_its_continuation() -> None:
    assert near((0.1, 0.1, 0.3, 0.3), (0.32, 0.2, 0.4, 0.24))[0, 1] == pytest.approx(APART)


def test_a_phrase_may_go_on_below_at_a_small_price() -> None:
    factors = near((0.3, 0.1, 0.6, 0.2), (0.35, 0.22, 0.55, 0.32), (0.25, 0.34, 0.65, 0.44))
    assert factors[0, 1] == factors[1, 2] == pytest.approx(LINE_BREAK)
    assert factors[0, 2] == factors[1, 0] == pytest.approx(APART)


def test_the_next_line_may_begin_at_the_left_margin() -> None:
    factors = near((0.1, 0.1, 0.3, 0.2), (0.33, 0.1, 0.6, 0.2), (0.1, 0.22, 0.3, 0.32))
    assert factors[1, 2] == pytest.approx(LINE_BREAK)


def test_the_word_below_is_not_next_while_the_line_goes_on() -> None:
    factors = near((0.1, 0.1, 0.3, 0.2), (0.33, 0.1, 0.6, 0.2), (0.1, 0.22, 0.3, 0.32))
    assert factors[0, 2] < 0.3


def test_a_line_far_below_is_not_the_next() -> None:
    assert near((0.1, 0.1, 0.3, 0.2), (0.1, 0.5, 0.3, 0.6))[0, 1] == pytest.approx(APART)


def test_factors_stay_in_range_for_any_boxes() -> None:
    random = np.random.default_rng(5)
    rows = np.sort(random.uniform(0, 1, (60, 2, 2)), axis=1).reshape(60, 4)
    factors = adjacency(np.vstack([rows, rows[:2, [0, 1, 0, 1]]]).astype(np.float32), 1.5)
    off_diagonal = factors[~np.eye(62, dtype=bool)]
    assert off_diagonal.min() >= np.float32(APART)
    assert off_diagonal.max() <= 1.0


def test_no_boxes_have_no_neighbours() -> None:
    assert adjacency(np.empty((0, 4), np.float32), 1.0).shape == (0, 0)


def test_chosen_boxes_have_the_factors_that_they_have_among_all() -> None:
    rows = np.random.default_rng(4).uniform(0, 1, (9, 4)).astype(np.float32)
    corners = np.hstack([rows[:, :2], rows[:, :2] + 0.3 * rows[:, 2:]]).astype(np.float32)
    chosen = np.array([7, 0, 3])

    assert np.array_equal(adjacency(corners, 1.5, chosen), adjacency(corners, 1.5)[np.ix_(chosen, chosen)])
