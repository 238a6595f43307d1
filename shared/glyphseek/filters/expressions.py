"""Filters as values, what each of them means, and the one text that says it.

A comparison holds for an image that has the key, with a value of the kind (text, number, flag) that it is compared
with, when the comparison is true. So for an image without the key, or with one of another kind, `==` does not hold and
`!=` does not hold either, and `not` of each does. Texts are ordered by code point, as Python orders them.

Equal filters have equal texts, and the text of a filter parses to an equal one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import UnionType

from glyphseek.metadata import MetadataValue


class Kind(StrEnum):
    """What a value is; values of different kinds are never compared."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"


class Operator(StrEnum):
    """How a value of an image is compared with the one in the filter."""

    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


_TESTS: Mapping[Operator, Callable[..., bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`year >= 2020`. Flags are only compared with EQUAL and UNEQUAL. `kind` is that of the value."""

    key: str
    operator: Operator
    value: MetadataValue
    kind: Kind = field(init=False)  # without it `open == true` would equal `open == 1`, as Python's True equals 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kind_of(self.value))

    def matches(self, metadata: Mapping[str, MetadataValue]) -> bool:
        """Return whether an image with this metadata is let through."""
        found = metadata.get(self.key)
        return found is not None and kind_of(found) is self.kind and _TESTS[self.operator](found, self.value)

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {_write(self.value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """`city in ["Oslo", "Bergen"]`: equal to one of two or more different values, whose kinds are `kinds`."""

    key: str
    values: tuple[MetadataValue, ...]
    kinds: tuple[Kind, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(map(kind_of, self.values)))

    def matches(self, metadata: Mapping[str, MetadataValue]) -> bool:
        """Return whether an image with this metadata is let through."""
        found = metadata.get(self.key)
        return found is not None and (kind_of(found), found) in zip(self.kinds, self.values, strict=True)

    def __str__(self) -> str:
        return f"{self.key} in [{', '.join(map(_write, self.values))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """`not ...`: lets through what `part`, which is no `Not` itself, does not."""

    part: Comparison | OneOf | And | Or

    def matches(self, metadata: Mapping[str, MetadataValue]) -> bool:
        """Return whether an image with this metadata is let through."""
        return not self.part.matches(metadata)

    def __str__(self) -> str:
        return f"not {_bracket(self.part, And | Or)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """`... and ...`: two parts or more, none of which is an `And` itself."""

    parts: tuple[Comparison | OneOf | Not | Or, ...]

    def matches(self, metadata: Mapping[str, MetadataValue]) -> bool:
        """Return whether an image with this metadata is let through."""
        return all(part.matches(metadata) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(_bracket(part, Or) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """`... or ...`: two parts or more, none of which is an `Or` itself."""

    parts: tuple[Comparison | OneOf | Not | And, ...]

    def matches(self, metadata: Mapping[str, MetadataValue]) -> bool:
        """Return whether an image with this metadata is let through."""
        return any(part.matches(metadata) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(str(part) for part in self.parts)


Filter = Comparison | OneOf | Not | And | Or
"""A condition on metadata; make one with `parse_filter`, which keeps its bounds and its normal form."""


def kind_of(value: MetadataValue) -> Kind:
    """Return what a value of metadata is."""
    match value:
        case bool():
            return Kind.FLAG
        case str():
            return Kind.TEXT
        case _:
            return Kind.NUMBER


def one_of(key: str, values: list[MetadataValue]) -> Comparison | OneOf:
    """Return the filter that the value of a key is one of these, at least one, each counted once."""
    different = tuple({(kind_of(value), value): value for value in values}.values())
    if len(different) == 1:
        return Comparison(key=key, operator=Operator.EQUAL, value=different[0])
    return OneOf(key=key, values=different)


def negation_of(part: Filter) -> Filter:
    """Return the filter that lets through what `part` does not."""
    return part.part if isinstance(part, Not) else Not(part=part)


def all_of(parts: list[Filter]) -> Filter:
    """Return the filter that lets through what all parts let through; there is one at least."""
    flat: list[Comparison | OneOf | Not | Or] = []
    for part in parts:
        flat += part.parts if isinstance(part, And) else [part]
    return And(parts=tuple(flat)) if len(flat) > 1 else flat[0]


def any_of(parts: list[Filter]) -> Filter:
    """Return the filter that lets through what one part lets through; there is one at least."""
    flat: list[Comparison | OneOf | Not | And] = []
    for part in parts:
        flat += part.parts if isinstance(part, Or) else [part]
    return Or(parts=tuple(flat)) if len(flat) > 1 else flat[0]


def _bracket(part: Filter, kinds: type | UnionType) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)


def _write(value: MetadataValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case _:
            return repr(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
