from pathlib import Path

import pytest

from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import (
    Benchmark,
    BenchmarkImage,
    TextItem,
    all_words,
    alphanumeric,
    most_frequent_words,
    repeated_words,
    spelled_words,
    text_height,
)


def _images(*texts: list[str]) -> list[BenchmarkImage]:
    return [
        BenchmarkImage(name=f"{n}.jpg", path=Path(f"{n}.jpg"), items=tuple(TextItem(text=text) for text in words))
        for n, words in enumerate(texts)
    ]


def test_alphanumeric_keeps_only_a_to_z_and_digits() -> None:
    assert alphanumeric("Café-24 Hrs!") == "caf24hrs"


def test_spelled_words_keep_marks_that_the_papers_keep() -> None:
    assert spelled_words("50% OFF! A&B's.") == ["50%", "off", "ab's"]


def test_all_words_are_cut_at_spaces_freed_of_marks_and_three_characters_or_more() -> None:
    relevant = all_words(_images(["Car Park", "of"], ["CAR-park", "###", "park!"])).relevant
    assert list(relevant) == ["car", "carpark", "park"]
    assert relevant["park"] == frozenset({"0.jpg", "1.jpg"})


def test_frequent_words_count_images_and_break_ties_by_alphabet() -> None:
    top = most_frequent_words(_images(["sale", "sale", "zoo"], ["SALE now"], ["bar", "zoo", "up"]), 3)
    assert top.name == "top3"
    assert list(top.relevant) == ["sale", "zoo", "bar"]
    assert top.relevant["sale"] == frozenset({"0.jpg", "1.jpg"})


def test_repeated_words_count_instances_not_images() -> None:
    repeated = repeated_words(_images(["Sale", "sale", "SALE!", "sale"], ["bar", "bar"]))
    assert repeated.relevant == {"sale": frozenset({"0.jpg"})}


def test_height_of_a_box_is_its_short_side() -> None:
    assert text_height(((0, 0), (100, 0), (100, 20), (0, 20))) == pytest.approx(20)


def test_height_does_not_depend_on_rotation_or_first_corner() -> None:
    turned = ((0.0, 0.0), (60.0, 80.0), (44.0, 92.0), (-16.0, 12.0))
    assert text_height(turned) == pytest.approx(20)
    assert text_height((*turned[2:], *turned[:2])) == pytest.approx(20)


def test_height_of_a_bent_line_is_that_of_its_strip() -> None:
    # Upper half of a ring between radius 40 and 60, cut into 60 pieces a side: a strip 20 high.
    from math import cos, pi, sin

    angles = [pi - pi * step / 60 for step in range(61)]
    outer = [(60 * cos(angle), -60 * sin(angle)) for angle in angles]
    inner = [(40 * cos(angle), -40 * sin(angle)) for angle in reversed(angles)]
    assert text_height((*outer, *inner)) == pytest.approx(20, rel=0.01)


def test_height_of_a_square_is_its_side() -> None:
    assert text_height(((0, 0), (7, 0), (7, 7), (0, 7))) == pytest.approx(7)


def test_an_unknown_query_list_names_the_known_ones() -> None:
    images = tuple(_images(["sale"]))
    benchmark = Benchmark(name="tiny", images=images, query_lists=(all_words(images),))
    assert len(benchmark.query_list("all")) == 1
    with pytest.raises(InputError, match="'top60'; it has: all"):
        benchmark.query_list("top60")
