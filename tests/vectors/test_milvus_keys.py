from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import InputError
from glyphseek.vectors.milvus_keys import date_of, image_key, read_vector_key, vector_key

IDS = st.text(st.characters(codec=None), max_size=40)


@given(image_id=IDS, instance=st.integers(0, 65_535))
def test_a_vector_key_says_what_it_was_made_of(image_id: str, instance: int) -> None:
    key = vector_key(image_key("tenant", image_id), "ab" * 16, instance)
    found = read_vector_key(key, 0.5)
    assert (found.image_id, found.writing, found.instance, found.similarity) == (image_id, "ab" * 16, instance, 0.5)
    assert key.isascii()
    assert '"' not in key


@given(ids=st.lists(IDS))
def test_keys_are_ordered_as_ids_are(ids: list[str]) -> None:
    assert sorted(ids) == sorted(ids, key=lambda one: image_key("t", one))


def test_an_id_of_more_bytes_than_fit_is_refused() -> None:
    image_key("t", "é" * 240)
    with pytest.raises(InputError, match="more than 480 bytes"):
        image_key("t", "é" * 241)


def test_dates_are_ordered_as_times_are() -> None:
    times = [-5.0, 0.0, 1.0, 1.001, 1e6, 1.7e9, 1.7e9 + 0.001, 4e9]
    assert [date_of(one) for one in times] == sorted(date_of(one) for one in times)
    assert {len(date_of(one)) for one in times} == {12}
