import numpy as np
import pytest

from glyphseek.queries import parse_query
from glyphseek.ranking import plan_query
from glyphseek.search.recall import CODEC_SLACK, Recall
from glyphseek.types import Calibration, RowHit, RowHits

CALIBRATION = Calibration(slope=10.0, offset=-5.0, threshold=0.5)


def row(image_id: str, instance: int | None, similarity: float) -> RowHit:
    return RowHit(image_id=image_id, instance=instance, similarity=similarity)


def recall(query: str, *terms: list[list[RowHit]], limit: int = 100) -> Recall:
    found = Recall(plan_query(parse_query(query), max_term_characters=9))
    for place, variants in enumerate(terms):
        found.add(place, [RowHits.of(hits) for hits in variants], limit)
    return found


def order(found: Recall) -> list[str]:
    return [image_id for image_id, _ in found.bound_images(CALIBRATION)]


def test_an_instance_keeps_its_best_variant() -> None:
    found = recall("re*", [[row("a", 1, 0.5), row("a", 0, 0.4)], [row("a", 1, 0.75)]])
    np.testing.assert_allclose(found.similarities("a"), [[0.4, 0.75]])


def test_what_no_row_says_counts_as_absent() -> None:
    found = recall("tea milk", [[row("a", 2, 0.5)]], [[row("b", 0, 0.25)]])
    np.testing.assert_allclose(found.similarities("a"), [[0, 0, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(found.similarities("b"), [[0], [0.25]])


def test_a_global_vector_stands_for_the_whole_image() -> None:
    assert recall("tea", [[row("a", None, 0.5)]]).similarities("a").tolist() == [[0.5]]


def test_tolerance_counts_in_recall() -> None:
    found = recall("milk~1", [[row("a", 0, 0.5), row("b", 0, 0.25)]], limit=2)
    assert found.similarities("a").tolist() == [[0.75]]


def test_images_are_ordered_by_what_they_may_score() -> None:
    tea = [row("both", 0, 0.9), row("tea", 0, 0.95)]
    milk = [row("milk", 1, 0.8), row("both", 1, 0.7)]
    assert order(recall("tea milk", [tea], [milk])) == ["both", "tea", "milk"]


def test_a_word_beyond_the_last_row_may_still_be_there() -> None:
    tea = [row("rare", 0, 0.9), row("some", 0, 0.5)]
    crowded = [row("x", 0, 0.95), row("some", 1, 0.94)]
    assert order(recall("tea the", [tea], [crowded], limit=2))[0] == "rare"
    assert order(recall("tea the", [tea], [crowded], limit=3))[0] == "some"


def test_a_bound_leaves_room_for_what_blobs_are_rounded_by() -> None:
    ((image_id, bound),) = recall("tea", [[row("a", 0, 0.5)]]).bound_images(CALIBRATION)
    assert image_id == "a"
    assert bound == pytest.approx(1 / (1 + np.exp(-10 * CODEC_SLACK)), rel=1e-5)


def test_equal_images_are_ordered_by_id() -> None:
    assert order(recall("tea", [[row("b", 0, 0.5), row("a", 0, 0.5), row("c", 0, 0.5)]])) == ["a", "b", "c"]


def test_no_rows_have_no_images() -> None:
    assert order(recall("tea", [[]])) == []
