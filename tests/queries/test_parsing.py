import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glyphseek.errors import QueryError
from glyphseek.queries import (
    MAX_CHARACTERS,
    MAX_TERMS,
    And,
    Expression,
    Not,
    Or,
    Phrase,
    Semantic,
    Term,
    TermKind,
    Word,
    parse_query,
)


def word(text: str) -> Word:
    return Word(term=Term(text=text))


def phrase(*texts: str) -> Phrase:
    return Phrase(terms=tuple(Term(text=text) for text in texts))


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("Coffee", word("coffee")),
        ('"Bank of America"', phrase("bank", "of", "america")),
        ("“bank of america”", phrase("bank", "of", "america")),
        ('"fish & chips"', phrase("fish", "chips")),
        ('"coffee"', word("coffee")),
        ("coffee open", And(operands=(word("coffee"), word("open")))),
        ("coffee AND open NOT closed", And(operands=(word("coffee"), word("open"), Not(operand=word("closed"))))),
        ("tea OR coffee open", Or(operands=(word("tea"), And(operands=(word("coffee"), word("open")))))),
        ("(tea OR coffee) open", And(operands=(Or(operands=(word("tea"), word("coffee"))), word("open")))),
        ("(a b) (c d)", And(operands=(word("a"), word("b"), word("c"), word("d")))),
        ("a NOT NOT b", And(operands=(word("a"), word("b")))),
        ("and or not", And(operands=(word("and"), word("or"), word("not")))),
        ("RE16*", Word(term=Term(text="re16", kind=TermKind.PREFIX))),
        ("cofee~1", Word(term=Term(text="cofee", kind=TermKind.TOLERANT, edits=1))),
        ('"bank of amer*"', Phrase(terms=(*phrase("bank", "of").terms, Term(text="amer", kind=TermKind.PREFIX)))),
        ('~"a shop that sells bread"', Semantic(term=Term(text="a shop that sells bread", kind=TermKind.SEMANTIC))),
        ("7-eleven", word("7eleven")),
        ("o'reilly", word("oreilly")),
        ("o´reilly", word("oreilly")),
        ("co.", word("co")),
    ],
)
def test_a_query_means(query: str, expression: Expression) -> None:
    assert parse_query(query) == expression


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("   ", "is empty"),
        ("fish & chips", r"'&' at character 6: it has no letters or digits"),
        ('""', "at character 1: it has no letters or digits"),
        ('tea "bank of', r"at character 5: the closing quotation mark is missing"),
        ('"new york"~1', "nothing may follow the closing quotation mark"),
        ("(tea", r"'\(' at character 1: the '\)' is missing"),
        ("tea)", r"'\)' at character 4: there is no '\(' before it"),
        ("()", r"'\)' at character 2: a word must come before it"),
        ("AND tea", "'AND' at character 1: a word must come before it"),
        ("tea OR", "'OR' at character 5: a word must follow"),
        ("tea NOT", "'NOT' at character 5: a word must follow"),
        ("NOT closed", "at least one word that must be there"),
        ("tea OR NOT closed", "at least one word that must be there"),
        ('bread ~"a shop"', r"at character 7: a semantic phrase is a whole query"),
        ('NOT ~"a shop"', "a semantic phrase is a whole query"),
        ("cofee~3", "'cofee~3' at character 1: .* 1 to 2"),
        ("cofee~", "1 to 2"),
        ("ab~2", "2 edits would forgive the whole of 'ab'"),
        ("re*16", r"'\*' may only end a word"),
        ('"new re*16"', r"'re\*16' at character 6"),
        ("(" * 17 + "tea" + ")" * 17, "'\\(' at character 17: brackets are nested deeper than 16"),
        ("(a OR b)" * 7, "more than 64 alternatives"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused_with_its_place(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse_query(query)


def test_the_longest_query_is_read_and_one_character_more_is_refused() -> None:
    assert parse_query("x" * MAX_CHARACTERS) == word("x" * MAX_CHARACTERS)
    with pytest.raises(QueryError, match=f"513 characters, the limit is {MAX_CHARACTERS}"):
        parse_query("x" * (MAX_CHARACTERS + 1))


def test_words_of_phrases_count_against_the_limit() -> None:
    most = " ".join(["a"] * (MAX_TERMS - 2))
    assert parse_query(f'{most} "b c"')
    with pytest.raises(QueryError, match=f"'d' at character 66: the query has more than {MAX_TERMS} words"):
        parse_query(f'{most} "b c d"')


_pieces = st.sampled_from(["AND", "OR", "NOT", "(", ")", '"', "~", "*", "~1", '~"', " ", "tea", "7-up", "Ö", "´", "ﷺ"])
_queries = st.one_of(st.text(max_size=30), st.lists(_pieces, max_size=20).map("".join))
_spaced_queries = st.lists(_pieces, max_size=12).map(" ".join)


@given(st.one_of(_queries, _spaced_queries))
def test_any_text_parses_or_is_a_query_error(query: str) -> None:
    try:
        expression = parse_query(query)
    except QueryError:
        return
    assert parse_query(str(expression)) == expression


_terms = st.one_of(
    st.builds(Term, text=st.sampled_from(["tea", "coffee", "7up"])),
    st.builds(Term, text=st.just("re16"), kind=st.just(TermKind.PREFIX)),
    st.builds(Term, text=st.just("cofee"), kind=st.just(TermKind.TOLERANT), edits=st.integers(1, 2)),
)
_written = st.recursive(
    st.one_of(
        _terms.map(str), st.lists(_terms, min_size=2, max_size=4).map(lambda terms: str(Phrase(terms=(*terms,))))
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" ", " AND ", " OR "]), inner).map("".join),
        inner.map("NOT {}".format),
        inner.map("({})".format),
    ),
    max_leaves=8,
)


@given(_written)
def test_an_expression_written_out_parses_to_itself(query: str) -> None:
    try:
        expression = parse_query(query)
    except QueryError as refusal:
        assume("must be there" not in str(refusal) and "alternatives" not in str(refusal))
        raise
    assert parse_query(str(expression)) == expression
