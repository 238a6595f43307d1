"""Conditions on the metadata of images: `city == "Oslo" and year >= 2020`.

`parse_filter` turns a line of text into a `Filter`; `matches` of it is what every vector store must agree with.
"""

from glyphseek.filters.expressions import And, Comparison, Filter, Kind, Not, OneOf, Operator, Or, kind_of
from glyphseek.filters.parsing import MAX_CHARACTERS, MAX_CONDITIONS, MAX_DEPTH, parse_filter

__all__ = [
    "MAX_CHARACTERS",
    "MAX_CONDITIONS",
    "MAX_DEPTH",
    "And",
    "Comparison",
    "Filter",
    "Kind",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "kind_of",
    "parse_filter",
]
