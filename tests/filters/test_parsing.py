from __future__ import annotations

import pytest

from glyphseek.errors import QueryError
from glyphseek.filters import parse_filter


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the filter is empty"),
        (" \n ", "the filter is empty"),
        ("city", "the end of the filter: expected ==, .* or 'in' after 'city'"),
        ("city = 'Oslo'", "'=' at character 6: expected ==, !=, <, <=, >, >= or 'in'"),
        ("city == Oslo", "'Oslo' at character 9: expected a text in quotes"),
        ('city == "Oslo', "'\"' at character 9: expected a text in quotes"),
        ("== 1", "'==' at character 1: expected a key"),
        ("true == 1", "'true' at character 1: expected a key"),
        ("year == 1 year == 2", "'year' at character 11: expected 'and', 'or' or the end"),
        ("(year == 1", r"the end of the filter: expected '\)' for the '\(' at character 1"),
        ("year == 1)", r"'\)' at character 10: expected 'and'"),
        ("year in []", r"'\]' at character 10: expected a text"),
        ("year in 1", r"'1' at character 9: expected '\[' after 'in'"),
        ("year in [1 2]", r"'2' at character 12: expected ',' or '\]'"),
        ("open < true", "'<' at character 6: true and false have no order"),
        ("year == 1e999", "'1e999' at character 9: the number is too large"),
        ("year == 20x", "'2' at character 9: expected a text"),
        ("and", "'and' at character 1: expected a key"),
        ("year == 1 and", "the end of the filter: expected a key"),
        (r'city == "a\n"', "a backslash stands before a quote or a backslash, not 'n'"),
        ('city == "\ud800"', "not valid Unicode"),
        (f"{'k' * 65} == 1", "at character 1: a key has 64 characters at most"),
        ("städt == 1", "'ä' at character 3: expected =="),
        ("year == 1; drop", "';' at character 10: expected 'and'"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        parse_filter(text)


def test_the_bounds_are_reached_and_not_passed() -> None:
    parse_filter(" or ".join(["year == 1"] * 64))
    with pytest.raises(QueryError, match="compares with 64 values at most"):
        parse_filter(" or ".join(["year == 1"] * 65))
    with pytest.raises(QueryError, match="compares with 64 values at most"):
        parse_filter(f"year in [{', '.join(map(str, range(65)))}]")
    parse_filter("year == 1".ljust(1024))
    with pytest.raises(QueryError, match="1025 characters, the limit is 1024"):
        parse_filter("year == 1".ljust(1025))


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("not ", "")])
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    parse_filter(opening * 16 + "year == 1" + closing * 16)
    with pytest.raises(QueryError, match="nested more than 16 deep"):
        parse_filter(opening * 17 + "year == 1" + closing * 17)
    with pytest.raises(QueryError, match="nested more than 16 deep"):
        parse_filter(opening * 200)
