"""Vectors in one NumPy array, searched exactly: the reference that other vector stores are held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.filters import Filter
from glyphseek.types import FloatArray, ImageRecord, ModelCard, RowHits
from glyphseek.vectors.checks import check_put, check_search, has_instance_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """All rows, ordered by image id then instance."""

    vectors_RD: FloatArray
    image_ids: list[str]
    instances_R: NDArray[np.intp]


class MemoryVectorStore:
    """A vector store that lives as long as the process. Searches compare every row, (Q, R) similarities at once."""

    def __init__(self, *, card: ModelCard) -> None:
        self._card = card
        self._images: dict[str, tuple[ImageRecord, FloatArray]] = {}
        self._table: _Table | None = None

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        """Write or replace images: `vectors[i]` is (n_i, D) of `records[i]`. Raises InputError when they do not fit."""
        check_put(records, vectors, self._card)
        for record, vectors_ND in zip(records, vectors, strict=True):
            self._images[record.image_id] = (record, vectors_ND.astype(np.float32))
        self._table = None

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        """Return for each query the `limit` rows of largest inner product, best first, ties by image id then instance.

        Rows of images whose metadata `where` does not match are left out before the limit is applied. Raises InputError
        for queries of another width and a limit outside 1 to 10,000.
        """
        check_search(vectors_QD, limit, self._card)
        table = self._tabulate() if where is None else self._tabulate_matching(where)
        similarities_QR = vectors_QD @ table.vectors_RD.T
        best_QL = np.argsort(-similarities_QR, axis=1, kind="stable")[:, :limit]
        return [
            RowHits(
                [table.image_ids[row] for row in best_L],
                table.instances_R[best_L] if has_instance_rows(self._card) else None,
                similarities_R[best_L],
            )
            for similarities_R, best_L in zip(similarities_QR, best_QL, strict=True)
        ]

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist; unknown ids are absent from the answer."""
        return {image_id: self._images[image_id][0] for image_id in image_ids if image_id in self._images}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image that existed at the call and whose id comes after `after` once, ordered by image id."""
        yield from [self._images[image_id][0] for image_id in sorted(self._images) if image_id > after]

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images; unknown ids are ignored."""
        for image_id in image_ids:
            self._images.pop(image_id, None)
        self._table = None

    def count(self) -> int:
        """Return how many images there are."""
        return len(self._images)

    def close(self) -> None:
        """Forget everything."""
        self._images = {}
        self._table = None

    def _tabulate(self) -> _Table:
        table = self._table
        if table is None:
            table = self._table = self._table_of(sorted(self._images))
        return table

    def _tabulate_matching(self, where: Filter) -> _Table:
        return self._table_of([one for one in sorted(self._images) if where.matches(self._images[one][0].metadata)])

    def _table_of(self, image_ids: Sequence[str]) -> _Table:
        empty_0D = np.empty((0, self._card.vector_width), dtype=np.float32)
        arrays = [self._images[image_id][1] for image_id in image_ids]
        return _Table(
            vectors_RD=np.concatenate([empty_0D, *arrays]),
            image_ids=[image_id for image_id, rows in zip(image_ids, arrays, strict=True) for _ in rows],
            instances_R=np.concatenate([np.empty(0, np.intp), *(np.arange(len(rows)) for rows in arrays)]),
        )
