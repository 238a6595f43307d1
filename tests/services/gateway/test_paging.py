"""Tokens of pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import InputError
from glyphseek_gateway.paging import Bookmark, read_token, write_token

MARK = Bookmark(fingerprint="ab" * 16, offset=10, after="image-1")


def test_a_token_comes_back_as_what_it_was_made_of() -> None:
    assert read_token(write_token(MARK, "search", "signs", "coffee", None), "search", "signs", "coffee", None) == MARK


def test_the_empty_token_is_the_first_page() -> None:
    assert read_token("", "search") is None


@pytest.mark.parametrize(
    "question",
    [
        ("list", "signs", "coffee"),
        ("search", "shops", "coffee"),
        ("search", "signs", "tea"),
        ("search", "signs"),
        ("search", "signs", "coffee", ""),
        ("search", "signscoffee", ""),
    ],
)
def test_a_token_of_another_question_is_refused(question: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="page_token is not of this request"):
        read_token(write_token(MARK, "search", "signs", "coffee"), *question)


def test_a_token_with_one_changed_character_is_refused() -> None:
    token = write_token(MARK, "search")
    for place in range(len(token) - 1):  # the last character has bits that mean nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(InputError):
            read_token(changed, "search")


@given(st.text(min_size=1, max_size=2000))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_token(text, "search")
