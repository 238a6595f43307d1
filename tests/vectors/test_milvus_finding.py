"""How an index that loses its way is noticed; what a real server answers is in the contracts of vector stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pytest
from contracts.stores import axis, rows

from glyphseek.filters import parse_filter
from glyphseek.types import FloatArray
from glyphseek.vectors.milvus_client import MilvusCalls, Row
from glyphseek.vectors.milvus_finding import Finder
from glyphseek.vectors.milvus_generations import Generation
from glyphseek.vectors.milvus_keys import image_key, vector_key
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings

GENERATION = Generation(gallery="g", model="m", fingerprint="ab" * 16, is_current=True)
WRITING = "w" * 32


class LosingCalls:
    """A server with `matching` images whose HNSW finds one for each `width` candidates that it holds."""

    def __init__(self, *, matching: int, width: int) -> None:
        self.matching = matching
        self.width = width
        self.widths: list[int] = []
        self.counted: list[str] = []

    def search(
        self,
        collection: str,
        vectors_QD: FloatArray,
        limit: int,
        *,
        where: str,
        parameters: Mapping[str, int],
        since: int,
    ) -> list[list[tuple[str, float]]]:
        self.widths.append(parameters.get("ef", 0))
        reached = parameters["ef"] // self.width if parameters else self.matching
        count = min(limit, self.matching, reached)
        return [
            [(vector_key(image_key("default", f"{n:05}"), WRITING, 0), 1 - n / 10_000) for n in range(count)]
            for _ in vectors_QD
        ]

    def count(self, collection: str, *, where: str, since: int) -> int:
        self.counted.append(where)
        return self.matching

    def get(self, collection: str, pks: Sequence[str], fields: Sequence[str], *, since: int) -> list[Row]:
        return [{"writing": WRITING} for _ in pks]


def find(calls: LosingCalls, limit: int, *, where: str = "", kind: IndexKind = IndexKind.HNSW) -> list[int]:
    finder = Finder(
        calls=cast(MilvusCalls, calls),
        generation=GENERATION,
        tenant="default",
        index=IndexSettings(kind=kind, search_width=100),
    )
    found = finder.find(rows(axis(0)), limit, where=parse_filter(where) if where else None, since=1)
    assert all(np.diff([one.similarity for one in hits]).max(initial=-1) < 0 for hits in found)
    return [len(hits) for hits in found]


def test_an_answer_that_is_long_enough_is_taken_as_it_is() -> None:
    calls = LosingCalls(matching=1000, width=1)
    assert find(calls, 50) == [50]
    assert (calls.widths, calls.counted) == ([100], [])


def test_a_short_answer_is_looked_up_with_more_effort_until_it_is_not() -> None:
    calls = LosingCalls(matching=1000, width=10)
    assert find(calls, 50) == [50]
    assert calls.widths == [100, 400, 1600]
    assert calls.counted == ['tenant == "default"']


def test_a_search_with_a_filter_begins_with_more_effort() -> None:
    calls = LosingCalls(matching=1000, width=5)
    assert find(calls, 50, where="year == 2020") == [50]
    assert calls.widths == [400]


def test_an_answer_with_all_that_there_are_is_taken_as_it_is() -> None:
    calls = LosingCalls(matching=20, width=5)
    assert find(calls, 50) == [20]
    assert (len(calls.widths), len(calls.counted)) == (1, 1)
    nothing = LosingCalls(matching=0, width=5)
    assert find(nothing, 50, where="year == 2020") == [0]
    assert len(nothing.widths) == 1


def test_the_search_for_more_ends() -> None:
    calls = LosingCalls(matching=1000, width=10_000)
    assert find(calls, 50) == [0]
    assert calls.widths == [100, 400, 1600, 6400]


@pytest.mark.parametrize("matching", [0, 20])
def test_an_exact_index_is_believed(matching: int) -> None:
    calls = LosingCalls(matching=matching, width=1)
    assert find(calls, 50, kind=IndexKind.FLAT) == [matching]
    assert (len(calls.widths), calls.counted) == (1, [])
