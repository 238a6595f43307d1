import pytest

from glyphseek.queries import Term, parse_query
from glyphseek.ranking import QueryPlan, plan_query


def plan(query: str, limit: int = 15) -> QueryPlan:
    return plan_query(parse_query(query), max_term_characters=limit)


def names(plan: QueryPlan, rows: tuple[int, ...]) -> list[str]:
    return [str(plan.terms[row]) for row in rows]


def test_a_word_asked_twice_is_one_row_and_two_units() -> None:
    twice = plan("coffee coffee")
    assert twice.terms == (Term(text="coffee"),)
    assert [unit.rows for unit in twice.alternatives[0].required] == [(0,), (0,)]


def test_the_same_letters_asked_exactly_and_tolerantly_are_two_rows() -> None:
    assert [str(term) for term in plan("cofee cofee~1 cofee*").terms] == ["cofee", "cofee~1", "cofee*"]


@pytest.mark.parametrize(
    ("query", "limit", "joined"),
    [
        ('"coca cola"', 15, "cocacola"),
        ('"coca cola"', 8, "cocacola"),
        ('"coca cola"', 7, None),
        ('"coca col*"', 15, None),
        ("cola", 15, None),
    ],
)
def test_a_phrase_is_also_looked_for_as_one_word_where_that_fits(query: str, limit: int, joined: str | None) -> None:
    planned = plan(query, limit)
    unit = planned.alternatives[0].required[0]
    assert (None if unit.joined is None else planned.terms[unit.joined].text) == joined


def test_only_required_terms_speak_for_an_image() -> None:
    planned = plan('tea NOT coffee OR "ice cream" NOT tea')
    assert names(planned, planned.required_rows) == ["tea", "ice", "cream", "icecream"]


@pytest.mark.parametrize(
    ("query", "has_phrases"), [("tea milk", False), ('tea "ice cream"', True), ('a NOT "b c"', True)]
)
def test_places_matter_when_there_is_a_phrase(query: str, has_phrases: bool) -> None:
    assert plan(query).has_phrases is has_phrases
