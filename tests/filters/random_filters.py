"""Filters and metadata that meet often: few keys, few values, all kinds."""

from __future__ import annotations

from hypothesis import strategies as st

from glyphseek.filters import Comparison, Filter, Kind, Operator, kind_of
from glyphseek.filters.expressions import all_of, any_of, negation_of, one_of
from glyphseek.metadata import Metadata, MetadataValue

KEYS = ["city", "year", "_x1"]
TEXTS = ["", "Oslo", "oslo", "Os", 'a "b"', "back\\slash", "it's", "line\nend\0", "写真", "😀", "\uffff", "2020", "%_*"]
NUMBERS = [0.0, -1.0, 2020.0, 2020.5, 1e22, -1e-300, 9007199254740993.0, 1.7e308]

values = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans())
metadata = st.dictionaries(st.sampled_from(KEYS), values).map(Metadata)

DIFFERENT_METADATA = [
    Metadata({}),
    *[Metadata({key: value}) for key in KEYS[:2] for value in (*TEXTS, *NUMBERS, True, False)],
    *[Metadata(dict(zip(KEYS, three, strict=True))) for three in zip(TEXTS, [*NUMBERS, True], TEXTS[1:], strict=False)],
]
"""One of each value under two keys, and some with three."""


def make_comparison(key: str, operator: Operator, value: MetadataValue) -> Filter:
    if kind_of(value) is Kind.FLAG and operator is not Operator.UNEQUAL:
        operator = Operator.EQUAL
    return Comparison(key=key, operator=operator, value=value)


conditions = st.one_of(
    st.builds(make_comparison, st.sampled_from(KEYS), st.sampled_from(Operator), values),
    st.builds(one_of, st.sampled_from(KEYS), st.lists(values, min_size=1, max_size=4)),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(negation_of),
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
    ),
    max_leaves=6,
)
