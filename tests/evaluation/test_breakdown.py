from pathlib import Path

import pytest

from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, Polygon, TextItem
from glyphseek.evaluation.breakdown import by_height, by_length, height_bucket, word_heights


def _box(height: float) -> Polygon:
    return ((0, 0), (400, 0), (400, height), (0, height))


def _benchmark(*items: TextItem, size: tuple[int, int] | None = (2000, 1000)) -> Benchmark:
    image = BenchmarkImage(name="a.jpg", path=Path("a.jpg"), items=items, size=size)
    return Benchmark(name="tiny", images=(image,), query_lists=())


def test_heights_are_those_of_the_shrunk_image() -> None:
    assert word_heights(_benchmark(TextItem(text="Sale", polygon=_box(40))), 1000) == {
        "sale": {"a.jpg": pytest.approx(20)}
    }


def test_an_image_that_is_smaller_is_not_enlarged() -> None:
    heights = word_heights(_benchmark(TextItem(text="sale", polygon=_box(40)), size=(500, 300)), 1000)
    assert heights["sale"]["a.jpg"] == pytest.approx(40)


def test_without_a_size_heights_are_those_of_the_file() -> None:
    heights = word_heights(_benchmark(TextItem(text="sale", polygon=_box(40)), size=None), None)
    assert heights["sale"]["a.jpg"] == pytest.approx(40)


def test_an_image_of_unknown_size_has_no_heights_at_a_given_size() -> None:
    assert word_heights(_benchmark(TextItem(text="sale", polygon=_box(40)), size=None), 1000) == {}


def test_a_word_counts_with_its_tallest_place_and_under_every_spelling() -> None:
    items = (TextItem(text="50% off", polygon=_box(10)), TextItem(text="OFF", polygon=_box(30)))
    heights = word_heights(_benchmark(*items), None)
    assert {word: round(found["a.jpg"]) for word, found in heights.items()} == {"50": 10, "50%": 10, "off": 30}


def test_illegible_text_and_text_without_place_have_no_height() -> None:
    assert word_heights(_benchmark(TextItem(text="###", polygon=_box(9)), TextItem(text="off")), None) == {}


@pytest.mark.parametrize(
    ("height", "label"),
    [(0, "<16"), (15.9, "<16"), (16, "16-24"), (24, "24-48"), (47.9, "24-48"), (48, ">=48"), (900, ">=48")],
)
def test_each_height_falls_into_one_bucket(height: float, label: str) -> None:
    assert height_bucket(height) == label


def test_length_buckets_hold_every_query_once() -> None:
    buckets = by_length({"a" * length: length / 100 for length in range(1, 15)})
    assert [bucket.label for bucket in buckets] == ["1-3", "4-5", "6-7", "8-10", "11+"]
    assert [bucket.queries for bucket in buckets] == [3, 2, 2, 3, 4]
    assert [bucket.map_percent for bucket in buckets] == pytest.approx([2, 4.5, 6.5, 9, 12.5])


def test_empty_buckets_have_no_figure() -> None:
    assert [(bucket.queries, bucket.map_percent) for bucket in by_height({"16-24": [0.5, 1.0]})] == [
        (0, None),
        (2, 75.0),
        (0, None),
        (0, None),
    ]
