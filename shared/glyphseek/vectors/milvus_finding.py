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
        next look, which is later, until an answer holds: an image that is replaced at this time is there, whole, in one
        version that counted at some moment of this call, and so it is found however fast its writer is.
        """
        mine, effort = f'tenant == "{self.tenant}"', 1
        if where is not None:
            mine, effort = f"{mine} and {write_filter(where)}", _FILTER_EFFORT
        excluded, counting, counted = dict[str, str](), dict[str, str](), set[str]()
        chosen, found = set[str](), list[list[FoundVector]]()
        for _ in range(_ROUNDS):
            found = self._find_rows(vectors_QD, limit, where=_without(excluded, mine), effort=effort, since=since)
            seen = {one.writing: one.image_id for hits in found for one in hits}
            is_all = max(map(len, found)) <= limit
            for _ in range(2):
                counting = self.rows.read_counting((seen | excluded).values(), since=since)
                counted.update(counting.values())
                chosen = _choose(seen, counting, counted)
                if _holds(seen, excluded, counting, chosen, is_all=is_all):
                    return _keep(found, chosen, limit)
                since = self.calls.now()  # the images may have been read as they were before the rows
            excluded = {name: image for name, image in (seen | excluded).items() if name != counting.get(image)}
        return _keep(found, chosen, limit)

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


def _choose(seen: Mapping[str, str], counting: Mapping[str, str], counted: Collection[str]) -> set[str]:
    """Return for each image that was seen (`seen`: writing to image) the writing to show: the one that counts, or the
    latest of those that have counted since the search began."""
    chosen = dict[str, str]()
    for name in sorted(seen):  # names begin with the time
        image = seen[name]
        if name in counted and chosen.get(image) != counting.get(image):
            chosen[image] = name
    return set(chosen.values())


def _holds(
    seen: Mapping[str, str],
    excluded: Mapping[str, str],
    counting: Mapping[str, str],
    chosen: Collection[str],
    *,
    is_all: bool,
) -> bool:
    """Return whether what was seen is an answer once all but the chosen writings are left out of it.

    Every image that has a writing must be shown or have had nothing to show. What is left out may not have taken the
    place of other rows, unless all rows there are were seen (`is_all`).
    """
    shown = {seen[name] for name in chosen}
    left_out = [(name, image) for name, image in seen.items() if name not in chosen]
    if not is_all and left_out:
        return False
    if any(image in counting and image not in shown for _, image in left_out):
        return False
    return all(image in shown for name, image in excluded.items() if counting.get(image) == name)


def _keep(found: Sequence[Sequence[FoundVector]], chosen: Collection[str], limit: int) -> list[list[FoundVector]]:
    return [_order(one for one in hits if one.writing in chosen)[:limit] for hits in found]


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
