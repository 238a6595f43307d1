from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import QueryError
from glyphseek.queries import And, Conjunction, Expression, Not, Or, Term, Word, conjunctions, parse_query

LETTERS = "abcd"


def shape(query: str) -> list[tuple[str, str]]:
    def write(units: tuple[tuple[Term, ...], ...]) -> str:
        return " ".join("+".join(str(term) for term in unit) for unit in units)

    return [(write(one.required), write(one.excluded)) for one in conjunctions(parse_query(query))]


@pytest.mark.parametrize(
    ("query", "alternatives"),
    [
        ("a", [("a", "")]),
        ('a "b c" NOT d', [("a b+c", "d")]),
        ("a OR b c", [("a", ""), ("b c", "")]),
        ("(a OR b) (c OR d)", [("a c", ""), ("a d", ""), ("b c", ""), ("b d", "")]),
        ("a NOT (b OR c)", [("a", "b c")]),
        ("a NOT (b c)", [("a", "b"), ("a", "c")]),
        ("a (b OR NOT c)", [("a b", ""), ("a", "c")]),
        ("a a", [("a a", "")]),
    ],
)
def test_a_query_is_multiplied_out(query: str, alternatives: list[tuple[str, str]]) -> None:
    assert shape(query) == alternatives


def test_an_alternative_without_a_required_word_is_refused() -> None:
    with pytest.raises(QueryError, match="'a OR NOT b' can be met by the absence of words alone"):
        conjunctions(Or(operands=(letter("a"), Not(operand=letter("b")))))


def letter(text: str) -> Word:
    return Word(term=Term(text=text))


def is_true(expression: Expression, present: set[str]) -> bool:
    match expression:
        case Word(term=term):
            return term.text in present
        case Not(operand=operand):
            return not is_true(operand, present)
        case And(operands=operands):
            return all(is_true(operand, present) for operand in operands)
        case Or(operands=operands):
            return any(is_true(operand, present) for operand in operands)
        case _:
            raise AssertionError(expression)


def is_met(alternative: Conjunction, present: set[str]) -> bool:
    required = all(term.text in present for unit in alternative.required for term in unit)
    return required and not any(term.text in present for unit in alternative.excluded for term in unit)


_expressions = st.recursive(
    st.sampled_from(LETTERS).map(letter),
    lambda inner: st.one_of(
        inner.map(lambda one: Not(operand=one)),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: And(operands=(*some,))),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: Or(operands=(*some,))),
    ),
    max_leaves=6,
)


@given(_expressions)
def test_the_alternatives_hold_exactly_where_the_expression_does(expression: Expression) -> None:
    try:
        alternatives = conjunctions(expression)
    except QueryError:
        assert is_true(expression, set())
        return
    for flags in product([False, True], repeat=len(LETTERS)):
        present = {one for one, is_there in zip(LETTERS, flags, strict=True) if is_there}
        assert any(is_met(one, present) for one in alternatives) is is_true(expression, present)
