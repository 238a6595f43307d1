import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.queries import Term, TermKind, normalize


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Café", "cafe"),
        ("7-ELEVEN", "7eleven"),
        ("O'Reilly", "oreilly"),
        ("o´reilly", "oreilly"),
        ("STRASSE straße", "strasse strasse"),
        ("  two \t words\n", "two words"),
        ("\uff21\uff22\uff11", "ab1"),
        ("ﬁne ²", "fine 2"),
        ("&!…", ""),
    ],
)
def test_labels_and_queries_take_one_form(text: str, normal: str) -> None:
    assert normalize(text) == normal


def test_normalising_any_single_character_twice_changes_nothing() -> None:
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    assert [c for c in characters if (once := normalize(c)) != normalize(once)] == []


@given(st.text())
def test_normal_text_is_lower_case_letters_digits_and_single_spaces(text: str) -> None:
    normal = normalize(text)
    assert normal == normalize(normal)
    assert all(word.isalnum() for word in normal.split(" ") if normal)
    assert not any(unicodedata.combining(c) or c != c.casefold() for c in normal)


@pytest.mark.parametrize(
    ("term", "written"),
    [
        (Term(text="coffee"), "coffee"),
        (Term(text="re16", kind=TermKind.PREFIX), "re16*"),
        (Term(text="cofee", kind=TermKind.TOLERANT, edits=1), "cofee~1"),
        (Term(text="sells bread", kind=TermKind.SEMANTIC), '~"sells bread"'),
    ],
)
def test_a_term_is_written_as_it_is_asked(term: Term, written: str) -> None:
    assert str(term) == written
