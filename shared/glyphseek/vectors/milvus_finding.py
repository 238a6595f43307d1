"""Finding the nearest vectors on a Milvus server among those of writings that count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glyphseek.filters import Filter
from glyphseek.types import FloatArray
from glyphseek.vectors.milvus_client import MilvusCalls
from glyphseek.vectors.milvus_filters import write_filter
from glyphseek.vectors.milvus_keys import FoundVector, read_vector_key
from glyphseek.vectors.milvus_rows import MilvusRows
from glyphseek.vectors.milvus_settings import IndexSettings

_MOST_ROWS = 16_384
_ROUNDS = 8
_FILTER_EFFORT = 4
"""Of 30,000 rows HNSW finds 0.87 to 0.97 of the nearest 500 that pass a filter with the width that finds 0.98 of the
nearest of all, and at times fewer than 500; with four times the width 0.998 and all, in the same time."""
_MORE_EFFORT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Searches one tenant's vectors of one generation."""

    calls: MilvusCalls
    rows: MilvusRows
    tenant: str
    index: IndexSettings

    def find(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None, since: int) -> list[list[FoundVector]]:
        """Return the `limit` best rows of each query, best first, ties by image id then instance; none is uncommitted.

        Rows whose metadata `where` does not match are not looked at. All that was acknowledged before the server's time
        `since` is seen. Rows are looked up, then the images they are of. Writings that do not count are left out of the
        next look, which is later, until all that a look found count and none that it left out does (one may, when its
        writer has finished meanwhile): so an image that is replaced at this time is there, whole, in one version.
        """
        mine, effort = f'tenant == "{self.tenant}"', 1
        if where is not None:
            mine, effort = f"{mine} and {write_filter(where)}", _FILTER_EFFORT
        excluded, committed, found = dict[str, str](), set[str](), list[list[FoundVector]]()
        for _ in range(_ROUNDS):
            found = self._find_rows(vectors_QD, limit, where=_without(excluded, mine), effort=effort, since=since)
            seen = {one.writing: one.image_id for hits in found for one in hits}
            committed = self.rows.committed_among(seen | excluded, since=since)
            if seen.keys() <= committed and committed.isdisjoint(excluded):
                break
            since = self.calls.now()  # the images may have been read as they were before the rows
            committed = self.rows.committed_among(seen | excluded, since=since)
            if seen.keys() <= committed and committed.isdisjoint(excluded):
                break
            excluded = {name: image for name, image in (seen | excluded).items() if name not in committed}
        return [_order(one for one in hits if one.writing in committed)[:limit] for hits in found]

    def _find_rows(
        self, vectors_QD: FloatArray, limit: int, *, where: str, effort: int, since: int
    ) -> list[list[FoundVector]]:
        """Return the best rows of each query: `limit`, all that equal the last of them, and a few more."""
        answers: list[list[FoundVector]] = [[] for _ in vectors_QD]
        unanswered, asked = list(range(len(vectors_QD))), limit + 1
        while unanswered:
            found = self._look_up(vectors_QD[unanswered], asked, where=where, effort=effort, since=since)
            for query, hits in zip(unanswered, found, strict=True):
                answers[query] = hits
            unanswered = [query for query in unanswered if _may_cut_ties(answers[query], limit, asked)]
            asked = min(4 * asked, _MOST_ROWS)
        return answers

    def _look_up(
        self, vectors_QD: FloatArray, limit: int, *, where: str, effort: int, since: int
    ) -> list[list[FoundVector]]:
        """Return `limit` rows of each query, fewer only where there are fewer: an index may lose its way to the rest.

        It does where few of its rows are the tenant's or pass a filter. Then it is asked with more effort, and after
        that all rows are compared, unless they are more than 16,384.
        """
        collection = self.rows.generation.vectors

        def ask(effort: int) -> list[list[tuple[str, float]]]:
            parameters = self.index.search_parameters(limit, effort=effort)
            return self.calls.search(collection, vectors_QD, limit, where=where, parameters=parameters, since=since)

        found = ask(effort)
        if _is_short(found, limit):
            count = self.calls.count(collection, where=where, since=since)
            expected = min(limit, count)
            if _is_short(found, expected):
                found = ask(effort * _MORE_EFFORT)
            if _is_short(found, expected) and count <= _MOST_ROWS:
                vectors = self.calls.read_vectors(collection, where=where, limit=count, since=since)
                found = _compare(vectors, vectors_QD, limit)
        return [[read_vector_key(pk, similarity) for pk, similarity in hits] for hits in found]


def _is_short(found: Sequence[Sequence[object]], expected: int) -> bool:
    return min(map(len, found)) < expected


def _compare(vectors: Mapping[str, FloatArray], vectors_QD: FloatArray, limit: int) -> list[list[tuple[str, float]]]:
    """Return for each query the `limit` best rows, best first."""
    if not vectors:
        return [[] for _ in vectors_QD]
    pks, similarities_QN = list(vectors), vectors_QD @ np.stack(list(vectors.values())).T
    return [
        [(pks[place], float(similarities_N[place])) for place in np.argsort(-similarities_N, kind="stable")[:limit]]
        for similarities_N in similarities_QN
    ]


def _without(excluded: Collection[str], where: str) -> str:
    if not excluded:
        return where
    return f"{where} and writing not in [{', '.join(repr(name) for name in sorted(excluded))}]"


def _may_cut_ties(hits: Sequence[FoundVector], limit: int, asked: int) -> bool:
    return asked <= len(hits) < _MOST_ROWS and hits[-1].similarity == hits[limit - 1].similarity


def _order(hits: Iterable[FoundVector]) -> list[FoundVector]:
    return sorted(hits, key=lambda one: (-one.similarity, one.image_id, one.instance))
