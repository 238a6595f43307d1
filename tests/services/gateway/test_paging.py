"""Tokens of pages."""

from __future__ import annotations

import base64
import hashlib
import json

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


def forge(text: str, *question: object) -> str:
    """Return a token whose check is right, as whoever knows this code can make one."""
    check = hashlib.sha256(json.dumps([text, *map(str, question)]).encode()).digest()[:12]
    return base64.urlsafe_b64encode(check + text.encode("utf-8", "replace")).decode().rstrip("=")


def test_a_forged_token_of_the_right_form_is_what_it_says() -> None:
    assert read_token(forge('["ab",3,"c"]', "search"), "search") == Bookmark(fingerprint="ab", offset=3, after="c")


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "1",
        "",
        "{}",
        '["f",-5,""]',
        '["f","5",""]',
        '["f",1.5,""]',
        '["f",true,""]',
        '["f",1,null]',
        '[["f"],1,""]',
        '["f",NaN,""]',
        '["f",Infinity,""]',
        '["f",1,"","more"]',
        '["f",1,""',
        '["",1,""]',
        '["f",1,"a\\" or id > \\""]',
        '["f",1,"\\ud800"]',
        "[" * 700,
        "9" * 700,
    ],
)
def test_a_forged_token_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="page_token is not of this request"):
        read_token(forge(text, "search"), "search")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one, max_size=4),
    max_leaves=6,
)


@given(st.one_of(st.text(max_size=300), _JSON.map(json.dumps), st.lists(_JSON, min_size=3, max_size=3).map(json.dumps)))
def test_a_forged_token_is_refused_or_a_place_in_an_answer(text: str) -> None:
    try:
        found = read_token(forge(text, "search"), "search")
    except InputError:
        return
    assert found is not None
    assert found.offset >= 0
    assert json.loads(text) == [found.fingerprint, found.offset, found.after]


@given(st.text(min_size=1, max_size=2000))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_token(text, "search")
