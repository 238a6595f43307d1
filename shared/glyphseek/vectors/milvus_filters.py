"""Metadata as a JSON field of a Milvus server, and filters as expressions that it evaluates.

What Milvus makes of a missing key, of values of several kinds and of quotes in texts differs between its versions. So
nothing hangs on it: each value is filed under its kind and key (`number_year`), texts as the hex digits of their bytes,
which order as code points do and end no literal, and an expression negates nothing but `exists`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glyphseek.filters import And, Comparison, Filter, Kind, Not, OneOf, Operator, Or, kind_of
from glyphseek.metadata import MetadataValue

FIELD = "metadata"

_OPPOSITES = {
    Operator.EQUAL: Operator.UNEQUAL,
    Operator.UNEQUAL: Operator.EQUAL,
    Operator.LESS: Operator.AT_LEAST,
    Operator.AT_MOST: Operator.GREATER,
    Operator.GREATER: Operator.AT_MOST,
    Operator.AT_LEAST: Operator.LESS,
}


def write_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, MetadataValue]:
    """Return the value of the JSON field of an image's rows; at most 64 KiB, which is Milvus' own limit."""
    return {_name(kind_of(value), key): _encode(value) for key, value in metadata.items()}


def write_filter(where: Filter) -> str:
    """Return the expression that holds for the rows whose metadata `where` matches."""
    match where:
        case Comparison(key=key, operator=operator, value=value):
            return _compare(key, operator, value)
        case OneOf(key=key, values=values):
            return _join("or", [_compare(key, Operator.EQUAL, value) for value in values])
        case Not(part=part):
            return _write_negated(part)
        case And(parts=parts):
            return _join("and", [write_filter(part) for part in parts])
        case Or(parts=parts):
            return _join("or", [write_filter(part) for part in parts])


def _write_negated(where: Filter) -> str:
    """Return the expression that holds for all other rows."""
    match where:
        case Comparison(key=key, operator=operator, value=value):
            return _join("or", [_is_missing(key, kind_of(value)), _compare(key, _OPPOSITES[operator], value)])
        case OneOf(key=key, values=values):
            return _join("and", [_write_negated(_equal(key, value)) for value in values])
        case Not(part=part):
            return write_filter(part)
        case And(parts=parts):
            return _join("or", [_write_negated(part) for part in parts])
        case Or(parts=parts):
            return _join("and", [_write_negated(part) for part in parts])


def _compare(key: str, operator: Operator, value: MetadataValue) -> str:
    place, literal = _place(key, kind_of(value)), _write_literal(value)
    if operator is not Operator.UNEQUAL:
        return f"({place} {operator} {literal})"
    if isinstance(value, bool):
        return f"({place} == {_write_literal(not value)})"
    return f"({place} < {literal} or {place} > {literal})"  # `!=` may hold where there is no value


def _equal(key: str, value: MetadataValue) -> Comparison:
    return Comparison(key=key, operator=Operator.EQUAL, value=value)


def _is_missing(key: str, kind: Kind) -> str:
    return f"(not (exists {_place(key, kind)}))"


def _join(word: str, parts: Sequence[str]) -> str:
    return f"({f' {word} '.join(parts)})"


def _place(key: str, kind: Kind) -> str:
    return f'{FIELD}["{_name(kind, key)}"]'


def _name(kind: Kind, key: str) -> str:
    return f"{kind}_{key}"


def _encode(value: MetadataValue) -> MetadataValue:
    return value.encode().hex() if isinstance(value, str) else value


def _write_literal(value: MetadataValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{_encode(value)}"'
        case _:
            return repr(float(value))
