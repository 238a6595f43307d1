from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import InputError
from glyphseek.images import name_of, path_of

FOLDER = Path("/photos")
PARTS = st.binary(min_size=1, max_size=40).filter(
    lambda raw: b"/" not in raw and b"\0" not in raw and raw not in {b".", b".."}
)


def test_ordinary_names_stay_as_they_are() -> None:
    assert name_of(("2024", "Straße № 5.jpg")) == "2024/Straße № 5.jpg"


def test_bytes_that_are_not_utf8_and_backslashes_are_escaped() -> None:
    assert name_of((os.fsdecode(b"caf\xe9.jpg"),)) == r"caf\xe9.jpg"
    assert name_of((r"caf\xe9.jpg",)) == r"caf\\xe9.jpg"


@given(st.lists(PARTS, min_size=1, max_size=3))
def test_every_path_has_a_valid_name_that_leads_back_to_it(raw: list[bytes]) -> None:
    parts = tuple(os.fsdecode(part) for part in raw)
    name = name_of(parts)
    name.encode("utf-8")
    assert os.fsencode(path_of(FOLDER, name)) == b"/photos/" + b"/".join(raw)


@given(st.lists(PARTS, min_size=1, max_size=2), st.lists(PARTS, min_size=1, max_size=2))
def test_two_paths_never_share_a_name(first: list[bytes], second: list[bytes]) -> None:
    names = [name_of(tuple(os.fsdecode(part) for part in raw)) for raw in (first, second)]
    assert (names[0] == names[1]) == (first == second)


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../outside.jpg", "a/../../b.jpg", "a//b.jpg", "./a.jpg", "a/", "nul\0.jpg"]
)
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="inside a folder"):
        path_of(FOLDER, name)


@pytest.mark.parametrize("name", ["a\\b.jpg", "a\\", r"caf\xE9.jpg", r"caf\x65.jpg", r"\xc3\xa9.jpg", "\udce9.jpg"])
def test_texts_that_are_no_name_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="not the name of a photo"):
        path_of(FOLDER, name)
