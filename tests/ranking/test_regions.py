from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glyphseek.ranking import find_regions, fuse, share_of_highest
from glyphseek.ranking.regions import LEAST_SHARE, MOST_REGIONS
from glyphseek.types import FloatArray, Fusion


def a_map(rows: list[list[float]]) -> FloatArray:
    return np.array(rows, dtype=np.float32)


def test_a_region_is_what_lies_above_half_of_the_highest_value() -> None:
    regions = find_regions([a_map([[0, 0.1, 0.2, 0.19], [0, 0, 0.1, 0.09], [0.05, 0, 0, 0]])])
    assert regions.owners_N.tolist() == [0]
    np.testing.assert_allclose(regions.boxes_N4, [[1 / 4, 0, 1, 2 / 3]])
    np.testing.assert_allclose(regions.shares_TN, [[1.0]])


def test_cells_that_touch_at_a_corner_are_one_region() -> None:
    assert len(find_regions([a_map([[1, 0, 0], [0, 1, 0], [0, 0, 1]])]).owners_N) == 1


def test_regions_of_a_term_stand_highest_first_and_equal_ones_in_reading_order() -> None:
    regions = find_regions([a_map([[0.6, 0, 0.8, 0, 1.0], [0, 0, 0, 0, 0], [0.6, 0, 0, 0, 0]])])
    assert (regions.boxes_N4[:, 0] * 5).round().tolist() == [4, 2, 0, 0]
    assert (regions.boxes_N4[:, 1] * 3).round().tolist() == [0, 0, 0, 2]
    np.testing.assert_allclose(regions.shares_TN, [[1.0, 0.8, 0.6, 0.6]])


def test_of_one_term_only_the_highest_regions_are_kept() -> None:
    regions = find_regions([a_map([[1, 0, 0.9, 0, 0.8, 0, 0.7, 0, 0.6]])])
    np.testing.assert_allclose(regions.shares_TN, [[1.0, 0.9, 0.8, 0.7]])
    assert len(regions.owners_N) == MOST_REGIONS


def test_each_term_is_told_how_high_it_reaches_in_the_regions_of_the_others() -> None:
    regions = find_regions([a_map([[0.5, 0, 0.05]]), a_map([[0.1, 0, 0.4]])])
    assert regions.owners_N.tolist() == [0, 1]
    np.testing.assert_allclose(regions.shares_TN, [[1.0, 0.1], [0.25, 1.0]])


def test_even_attention_is_one_region_of_the_whole_image() -> None:
    for value in (0.0, 0.25):
        regions = find_regions([np.full((2, 2), value, dtype=np.float32)])
        np.testing.assert_array_equal(regions.boxes_N4, [[0, 0, 1, 1]])
        np.testing.assert_array_equal(regions.shares_TN, [[1]])


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
    )
)
def test_every_term_has_a_first_region_that_holds_its_peak_and_boxes_lie_in_the_image(maps_THW: FloatArray) -> None:
    regions = find_regions(list(maps_THW))
    assert regions.boxes_N4.dtype == regions.shares_TN.dtype == np.float32
    assert (regions.boxes_N4[:, :2] < regions.boxes_N4[:, 2:]).all()
    assert ((regions.boxes_N4 >= 0) & (regions.boxes_N4 <= 1)).all()
    for term in range(len(maps_THW)):
        own_N = regions.shares_TN[term, regions.owners_N == term]
        assert own_N[0] == 1
        assert (np.diff(own_N) <= 0).all()
        assert (own_N >= LEAST_SHARE).all()


def test_a_map_is_scaled_to_its_highest_value() -> None:
    np.testing.assert_allclose(share_of_highest(a_map([[0.1, 0.4]])), [[0.25, 1.0]])


@pytest.mark.parametrize(("fusion", "score"), [(Fusion.SUM, 0.75), (Fusion.MATCH, 0.5)])
def test_a_reranked_score_is_the_sum_or_the_match_alone(fusion: Fusion, score: float) -> None:
    assert fuse(a_map([[0.25]]), a_map([[0.5]]), fusion).tolist() == [[score]]
