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
from glyphseek.vectors.milvus_rows import MilvusRows
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
        self.compared = 0

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
        return [self.list_best(count) for _ in vectors_QD]

    def count(self, collection: str, *, where: str, since: int) -> int:
        self.counted.append(where)
        return self.matching

    def read_vectors(self, collection: str, *, where: str, limit: int, since: int) -> dict[str, FloatArray]:
        self.compared += 1
        return {pk: axis(0, scale=similarity) for pk, similarity in self.list_best(limit)}

    def list_best(self, count: int) -> list[tuple[str, float]]:
        return [(vector_key(image_key("default", f"{n:05}"), WRITING, 0), 1 - n / 10_000) for n in range(count)]

    def get(self, collection: str, pks: Sequence[str], fields: Sequence[str], *, since: int) -> list[Row]:
        return [{"pk": pk, "writing": WRITING} for pk in pks]


def find(calls: LosingCalls, limit: int, *, where: str = "", kind: IndexKind = IndexKind.HNSW) -> list[int]:
    server = cast(MilvusCalls, calls)
    finder = Finder(
        calls=server,
        rows=MilvusRows(calls=server, generation=GENERATION, tenant="default"),
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


def test_a_short_answer_is_looked_up_with_more_effort() -> None:
    calls = LosingCalls(matching=1000, width=10)
    assert find(calls, 50) == [50]
    assert (calls.widths, calls.counted, calls.compared) == ([100, 1600], ['tenant == "default"'], 0)


def test_a_search_with_a_filter_begins_with_more_effort() -> None:
    calls = LosingCalls(matching=1000, width=5)
    assert find(calls, 50, where="year == 2020") == [50]
    assert calls.widths == [400]


@pytest.mark.parametrize("kind", [IndexKind.HNSW, IndexKind.FLAT])
def test_an_answer_with_all_that_there_are_is_taken_as_it_is(kind: IndexKind) -> None:
    calls = LosingCalls(matching=20, width=5)
    assert find(calls, 50, kind=kind) == [20]
    assert (len(calls.widths), len(calls.counted)) == (1, 1)
    nothing = LosingCalls(matching=0, width=5)
    assert find(nothing, 50, where="year == 2020", kind=kind) == [0]
    assert len(nothing.widths) == 1


def test_all_rows_are_compared_when_the_index_finds_too_few_of_them() -> None:
    calls = LosingCalls(matching=1000, width=10_000)
    assert find(calls, 50) == [50]
    assert (calls.widths, calls.compared) == ([100, 1600], 1)


def test_too_many_rows_are_not_compared() -> None:
    calls = LosingCalls(matching=16_385, width=10_000)
    assert find(calls, 50) == [0]
    assert calls.compared == 0


class BusyCalls:
    """A server on which an image is replaced once more between any look at its vectors and the next read of its row."""

    def __init__(self, *, also: int) -> None:
        self.others = [(vector_key(image_key("default", f"{n:05}"), WRITING, 0), 0.9 - n / 1000) for n in range(also)]
        self.changing = image_key("default", "changing")
        self.version = 1
        self.looks = 0

    def name(self, version: int) -> str:
        return f"{version:032}"

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
        self.looks += 1
        name = self.name(self.version)
        versions = [] if name in where else [(vector_key(self.changing, name, n), 1.0) for n in range(2)]
        self.version += 1
        return [[*versions, *self.others][:limit] for _ in vectors_QD]

    def count(self, collection: str, *, where: str, since: int) -> int:
        return 2 + len(self.others)

    def now(self) -> int:
        return 1

    def get(self, collection: str, pks: Sequence[str], fields: Sequence[str], *, since: int) -> list[Row]:
        current = {self.changing: self.name(self.version)}
        return [{"pk": pk, "writing": current.get(pk, WRITING)} for pk in pks]


@pytest.mark.parametrize("limit", [50, 7])
def test_an_image_that_is_replaced_faster_than_it_can_be_looked_up_is_found_whole(limit: int) -> None:
    calls = BusyCalls(also=20)
    server = cast(MilvusCalls, calls)
    finder = Finder(
        calls=server,
        rows=MilvusRows(calls=server, generation=GENERATION, tenant="default"),
        tenant="default",
        index=IndexSettings(kind=IndexKind.FLAT),
    )
    [hits] = finder.find(rows(axis(0)), limit, where=None, since=1)
    assert [one.image_id for one in hits] == ["changing", "changing", *(f"{n:05}" for n in range(min(limit - 2, 20)))]
    assert len({one.writing for one in hits[:2]}) == 1
    assert calls.looks == 2
