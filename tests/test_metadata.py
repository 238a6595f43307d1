from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from contracts.stores import make_record

from glyphseek.errors import InputError
from glyphseek.metadata import Metadata, MetadataValue
from glyphseek.types import ImageRecord


def record_with(metadata: dict[str, MetadataValue]) -> ImageRecord:
    return replace(make_record("a"), metadata=metadata)


def test_a_record_says_nothing_unless_told() -> None:
    assert make_record("a").metadata == {}


def test_records_with_equal_metadata_are_equal_whatever_the_order() -> None:
    one, other = record_with({"year": 2020, "city": "Oslo"}), record_with({"city": "Oslo", "year": 2020.0})
    assert one == other
    assert hash(one) == hash(other)
    assert list(one.metadata) == ["city", "year"]


def test_a_flag_is_not_the_number_that_python_takes_it_for() -> None:
    assert record_with({"open": True}) != record_with({"open": 1})
    assert Metadata({"open": False}) != {"open": 0}
    assert Metadata({"open": False}) == {"open": False}
    assert Metadata({"open": False}) == {"open": False}


def test_whole_numbers_are_kept_as_floats() -> None:
    [number] = record_with({"year": 2020}).metadata.values()
    assert type(number) is float


CHANGES: list[Callable[[Metadata], object]] = [
    lambda metadata: metadata.__setitem__("city", "Bergen"),
    lambda metadata: metadata.__delitem__("city"),
    lambda metadata: metadata.update(city="Bergen"),
    lambda metadata: metadata.pop("city"),
    lambda metadata: metadata.popitem(),
    lambda metadata: metadata.clear(),
    lambda metadata: metadata.setdefault("year", 1),
    lambda metadata: metadata.__ior__({"year": 1}),
]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_changes_metadata(change: Callable[[Metadata], object]) -> None:
    metadata = Metadata({"city": "Oslo"})
    with pytest.raises(TypeError, match="cannot be changed"):
        change(metadata)
    assert metadata == {"city": "Oslo"}


def test_the_mapping_a_record_was_made_of_may_change_later() -> None:
    given: dict[str, MetadataValue] = {"city": "Oslo"}
    record = record_with(given)
    given["city"] = "Bergen"
    assert record.metadata["city"] == "Oslo"


def test_records_travel_through_pickle_copies_and_json() -> None:
    record = record_with({"city": "Oslo", "year": 2020, "open": True})
    assert pickle.loads(pickle.dumps(record)) == record
    assert copy.deepcopy(record) == record
    assert json.loads(json.dumps(asdict(record)))["metadata"] == {"city": "Oslo", "year": 2020.0, "open": True}


def test_the_bounds_are_reached_and_not_passed() -> None:
    assert len(Metadata({f"k{n}": "v" for n in range(32)})) == 32
    with pytest.raises(InputError, match="33 entries of metadata, the limit is 32"):
        Metadata({f"k{n}": "v" for n in range(33)})
    assert len(str(Metadata({"k" * 64: "v" * 1024})["k" * 64])) == 1024
    with pytest.raises(InputError, match="'text' has 1025 characters, the limit is 1024"):
        Metadata({"text": "v" * 1025})
    with pytest.raises(InputError, match="bytes of keys and texts, the limit is 16384"):
        Metadata({f"k{n}": "写" * 1024 for n in range(6)})


@pytest.mark.parametrize("key", ["", "9lives", "a-b", "a b", "ä", "k" * 65, 'x"]', "a\n"])
def test_a_key_is_a_name(key: str) -> None:
    with pytest.raises(InputError, match=r"metadata key .* is not 1 to 64 letters"):
        Metadata({key: 1})


@pytest.mark.parametrize("key", ["and", "or", "not", "in", "true", "false"])
def test_a_key_is_no_word_of_filters(key: str) -> None:
    with pytest.raises(InputError, match=f"metadata key '{key}' is a word of filters"):
        Metadata({key: 1})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**53 + 1, 10**400])
def test_a_number_that_a_float_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(InputError, match=r"'size' is .*, not a finite number"):
        Metadata({"size": number})


@pytest.mark.parametrize("value", [None, ["Oslo"], {"city": "Oslo"}, b"Oslo"])
def test_other_values_are_refused_with_their_kind(value: object) -> None:
    with pytest.raises(InputError, match=f"'city' is {type(value).__name__}, not a text, a number or a flag"):
        Metadata({"city": value})  # pyright: ignore[reportArgumentType]


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InputError, match="'city' is not valid Unicode"):
        Metadata({"city": "Os\udcfflo"})
