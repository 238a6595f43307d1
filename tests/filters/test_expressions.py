from __future__ import annotations

import pytest
from filters.random_filters import filters, metadata
from hypothesis import given

from glyphseek.filters import Filter, parse_filter
from glyphseek.filters.expressions import negation_of
from glyphseek.metadata import Metadata, MetadataValue

OSLO: dict[str, MetadataValue] = {"city": "Oslo", "year": 2020.0, "open": True}


@pytest.mark.parametrize(
    "text",
    [
        'city == "Oslo"',
        'city != "Bergen"',
        'city < "P"',
        'city in ["Bergen", "Oslo"]',
        "year >= 2020 and year <= 2020",
        "year > 2019.5",
        "year in [1, 2020, true]",
        "open == true",
        "open != false",
        'city == "Bergen" or open == true',
        'not (city == "Oslo" and year > 2020)',
        'not missing == "x"',
        "not missing != 1",
        "not missing in [1, 2]",
        'not year == "2020"',
        "not open == 1",
    ],
)
def test_an_image_that_fits_is_let_through(text: str) -> None:
    assert parse_filter(text).matches(OSLO)
    assert not negation_of(parse_filter(text)).matches(OSLO)


@pytest.mark.parametrize(
    "text",
    [
        'missing == "x"',
        'missing != "x"',
        "missing < 1",
        "missing in [1, 2]",
        'year == "2020"',
        'year != "2020"',
        "open == 1",
        "open != 0",
        'city == "oslo"',
        'city == "Oslo" and year == 2021',
    ],
)
def test_what_is_missing_or_of_another_kind_meets_no_condition(text: str) -> None:
    assert not parse_filter(text).matches(OSLO)
    assert negation_of(parse_filter(text)).matches(OSLO)


def test_texts_are_ordered_by_code_point() -> None:
    for smaller, larger in [("Z", "a"), ("a", "ä"), ("", "\0"), ("\uffff", "😀"), ("ab", "abc")]:
        assert parse_filter(f'city < "{larger}"').matches({"city": smaller})


@given(filters)
def test_the_text_of_a_filter_parses_to_an_equal_filter(where: Filter) -> None:
    assert parse_filter(str(where)) == where


@given(filters, filters)
def test_filters_are_equal_when_their_texts_are(one: Filter, other: Filter) -> None:
    assert (one == other) is (str(one) == str(other))


def test_a_flag_is_not_the_number_that_python_takes_it_for() -> None:
    assert parse_filter("open == true") != parse_filter("open == 1")
    assert parse_filter("open in [true, 2]") != parse_filter("open in [1, 2]")


@given(filters, metadata)
def test_not_lets_through_exactly_what_the_filter_does_not(where: Filter, found: Metadata) -> None:
    assert negation_of(where).matches(found) is not where.matches(found)
    assert negation_of(negation_of(where)) == where


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  year>=2020 and\topen==true ", "year >= 2020 and open == true"),
        ("((year == 1))", "year == 1"),
        ("year == 1 and (year == 2 and year == 3)", "year == 1 and year == 2 and year == 3"),
        ("(year == 1 or year == 2) and year == 3", "(year == 1 or year == 2) and year == 3"),
        ("year == 1 or year == 2 and year == 3", "year == 1 or year == 2 and year == 3"),
        ("not not year == 1", "year == 1"),
        ("not (year == 1)", "not year == 1"),
        ("not (year == 1 or year == 2)", "not (year == 1 or year == 2)"),
        ("year in [2020.0, 2020]", "year == 2020"),
        ("year in [1, true, 'a']", 'year in [1, true, "a"]'),
        ("city == 'it\\'s \"x\"'", 'city == "it\'s \\"x\\""'),
        ("year < -.5e1", "year < -5"),
        ("year < +1e-3", "year < 0.001"),
    ],
)
def test_equal_filters_have_one_text(text: str, normal: str) -> None:
    assert str(parse_filter(text)) == normal
