"""What callers say of their images besides the pixels: a small, bounded, unchangeable mapping that filters look at."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from glyphseek.errors import InputError

MetadataValue = str | float | bool
"""A text, a finite number or a flag that a caller says of an image."""

MAX_METADATA_ENTRIES = 32
MAX_METADATA_CHARACTERS = 1024
"""Longest text of one entry."""
MAX_METADATA_BYTES = 16_384
"""Most bytes of all keys and texts together, as UTF-8: each vector of the image carries them on a Milvus server."""
METADATA_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
FILTER_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
"""What a key cannot be, because filters mean something else by it."""


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("metadata cannot be changed; make another")


_REFUSED: Callable[..., NoReturn] = _refuse


class Metadata(dict[str, MetadataValue]):
    """What a caller says of an image: checked, ordered by key, unchangeable and hashable; a `dict` for all readers.

    Whole numbers become floats. A flag is never equal to a number, though Python's True is 1. Raises InputError with
    the value and the limit for more than 32 entries, a key that is not a name (a letter or `_`, then up to 63 letters,
    digits and `_`, and none of FILTER_WORDS), a text over 1,024 characters or not valid Unicode, a number that is not
    finite or that a float cannot hold exactly, and for more than 16 KiB together.
    """

    __slots__ = ()

    def __init__(self, values: Mapping[str, MetadataValue] | Iterable[tuple[str, MetadataValue]]) -> None:
        values = dict(values)
        if len(values) > MAX_METADATA_ENTRIES:
            raise InputError(f"there are {len(values)} entries of metadata, the limit is {MAX_METADATA_ENTRIES}")
        super().__init__({key: _check_value(_check_key(key), values[key]) for key in sorted(values)})
        size = sum(len(part.encode()) for entry in self.items() for part in entry if isinstance(part, str))
        if size > MAX_METADATA_BYTES:
            raise InputError(f"the metadata has {size} bytes of keys and texts, the limit is {MAX_METADATA_BYTES}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict) or not dict.__eq__(self, other):
            return False
        return _list_flags(self.items()) == _list_flags(other.items())

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(tuple(self.items()))

    def __reduce__(self) -> tuple[type[Metadata], tuple[dict[str, MetadataValue]]]:
        return Metadata, (dict(self),)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _REFUSED


NO_METADATA = Metadata({})
"""What a caller says who says nothing."""


def _list_flags(entries: Iterable[tuple[object, object]]) -> set[object]:
    return {key for key, value in entries if isinstance(value, bool)}


def _check_key(key: object) -> str:
    if not isinstance(key, str) or METADATA_KEY.fullmatch(key) is None:
        raise InputError(
            f"metadata key {str(key)[:80]!r} is not 1 to 64 letters, digits and '_' that do not begin with a digit"
        )
    if key in FILTER_WORDS:
        raise InputError(f"metadata key {key!r} is a word of filters")
    return key


def _check_value(key: str, value: object) -> MetadataValue:
    match value:
        case bool():
            return value
        case str():
            return _check_text(key, value)
        case int() | float():
            return _check_number(key, value)
        case _:
            raise InputError(f"metadata {key!r} is {type(value).__name__}, not a text, a number or a flag")


def _check_text(key: str, text: str) -> str:
    if len(text) > MAX_METADATA_CHARACTERS:
        raise InputError(f"metadata {key!r} has {len(text)} characters, the limit is {MAX_METADATA_CHARACTERS}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"metadata {key!r} is not valid Unicode: {text[:80]!r}")
    return text


def _check_number(key: str, number: float) -> float:
    try:
        kept = float(number)
    except OverflowError:
        kept = math.inf
    if not math.isfinite(kept) or kept != number:
        raise InputError(f"metadata {key!r} is {str(number)[:80]}, not a finite number of up to 53 bits")
    return kept
