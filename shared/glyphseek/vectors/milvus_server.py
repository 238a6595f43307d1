"""Image rows and vectors on a Milvus server, standalone or cluster, with any number of writers and readers.

Two collections (see milvus_generations). Each writing of an image has a name of its own. An image row holds the name
of the writing that counts, and the row is the commit: vectors carry the name of their writing, and those of any other
writing are in no answer. So the vectors of a writer that died, or that another writer overtook, are never seen.

Milvus promises less than a database does: no transactions, and by default reads that are seconds old. What holds here:

* Each operation asks the server for a timestamp first and reads as of it or later. So what any process was told is
  written, is seen, and what it was told is deleted, is not, by every operation that begins afterwards anywhere. That
  costs the wait for Milvus' next two time ticks (`proxy.timeTickInterval`, 200 ms unless the server is told otherwise).
* Putting one image replaces one row: of writers at the same time the last counts, and images never come twice.
* A put that overlaps a delete of the same image comes before or after it.
* A process that dies leaves at most vectors that are never found; `remove_leftovers` removes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from uuid import uuid4

import numpy as np

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import InputError, SettingError
from glyphseek.filters import Filter
from glyphseek.types import FloatArray, ImageRecord, ModelCard, RowHits
from glyphseek.vectors.catalogue import write_record
from glyphseek.vectors.checks import check_put, check_search, has_instance_rows
from glyphseek.vectors.milvus_client import MilvusCalls, Row
from glyphseek.vectors.milvus_filters import FIELD as METADATA_FIELD
from glyphseek.vectors.milvus_filters import write_metadata
from glyphseek.vectors.milvus_finding import Finder
from glyphseek.vectors.milvus_generations import (
    MAX_PIECE_CHARACTERS,
    MAX_PIECES,
    Generation,
    open_generation,
)
from glyphseek.vectors.milvus_keys import (
    FoundVector,
    date_of,
    image_key,
    vector_key,
)
from glyphseek.vectors.milvus_rows import MilvusRows
from glyphseek.vectors.milvus_settings import MilvusSettings

_ROWS_PER_PAGE = 2000
_IMAGES_PER_CALL = 500
_BYTES_PER_CALL = 16 * 2**20


class MilvusStore:
    """A vector store on a Milvus server; safe to use from several threads and several processes at once.

    Every call has a deadline and raises StoreUnavailable, naming the server, when it does not answer; the store goes on
    by itself when the server is back. What reads ends at the deadline of its caller too (see `deadlines`), with
    DeadlineExceeded; putting and deleting are not cut off half way. Answers are as exact as the index: exact with FLAT,
    and for what was written too recently to be indexed; ties are ordered by image id then instance among up to 16,384
    rows.
    """

    @classmethod
    def open(
        cls, settings: MilvusSettings, *, gallery: str, card: ModelCard, is_new_generation: bool = False
    ) -> MilvusStore:
        """Open the tenant's images of a gallery, making it for the model of `card` where it is not there.

        A gallery whose current generation is another model's is refused with ModelMismatch and both names, unless
        `is_new_generation` says that one shall be built beside it (see MilvusGenerations.switch). Raises
        StoreUnavailable, and SettingError for a gallery's name of another form.
        """
        calls = MilvusCalls(settings)
        try:
            generation = open_generation(
                calls, settings, gallery=gallery, card=card, is_new_generation=is_new_generation
            )
        except BaseException:
            calls.close()
            raise
        return cls(calls=calls, settings=settings, generation=generation, card=card)

    def __init__(
        self,
        *,
        calls: MilvusCalls,
        settings: MilvusSettings,
        generation: Generation,
        card: ModelCard,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns seconds since 1970; it dates writings, for `remove_leftovers`."""
        self._calls = calls
        self._generation = generation
        self._card = card
        self._clock = clock
        self._tenant = settings.tenant
        self._rows = MilvusRows(calls=calls, generation=generation, tenant=settings.tenant, clock=clock)
        self._finder = Finder(calls=calls, rows=self._rows, tenant=settings.tenant, index=settings.index)
        self._has_instances = has_instance_rows(card)

    @property
    def generation(self) -> Generation:
        """Return which generation this store writes and reads, whatever becomes the current one meanwhile."""
        return self._generation

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        """Write or replace images: `vectors[i]` is (n_i, D) of `records[i]`, n_i may be 0. Vectors first, rows last.

        An image that is replaced stays as it was until its new row is written. Raises InputError for vectors that do
        not fit, for ids over 480 bytes and for metadata where the generation has none, before anything is written;
        StoreFull or StoreUnavailable with each image either as it was or as it should be.
        """
        check_put(records, vectors, self._card)
        if any(record.metadata for record in records):
            self._check_metadata()
        pks = [self._pk_of(record.image_id) for record in records]
        start = 0
        with deadline_bound(None):
            for end in _cut_batches(vectors):
                part = slice(start, end)
                self._put_at_once(pks[part], records[part], vectors[part])
                start = end

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        """Return for each query the `limit` rows of largest inner product, best first, ties by image id then instance.

        Rows of images that were never committed, or whose metadata `where` does not match, are left out before the
        limit is applied; the server evaluates `where`. Raises InputError for queries of another width and a limit
        outside 1 to 10,000, SettingError for a filter where the generation has no metadata.
        """
        check_search(vectors_QD, limit, self._card)
        if where is not None:
            self._check_metadata()
        if len(vectors_QD) == 0:
            return []
        vectors_QD = np.ascontiguousarray(vectors_QD, dtype=np.float32)
        found = self._finder.find(vectors_QD, limit, where=where, since=self._calls.now())
        return [self._tell(hits) for hits in found]

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist; unknown ids are absent from the answer."""
        return self._rows.get(image_ids)

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image whose id comes after `after` once, ordered by image id, a page of 2,000 at a time.

        An image that is written or removed meanwhile may be there or not.
        """
        return self._rows.scan(after=after)

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images, row first; unknown ids are ignored. A removed image is in no answer that is asked for later,
        by whichever process."""
        self._rows.delete(image_ids)

    def count(self) -> int:
        """Return how many images the tenant has."""
        return self._rows.count()

    def remove_leftovers(self, *, older_than_s: float = 3600.0) -> int:
        """Remove the vectors of writings that do not count and are older than `older_than_s`; return how many.

        They are of writers that died or were overtaken. The age keeps clear of images that are being written now: it
        must be longer than a put may take and clocks may differ.
        """
        return self._rows.remove_leftovers(older_than_s=older_than_s)

    def close(self) -> None:
        """Close the connection; the store must not be used afterwards."""
        self._calls.close()

    def _put_at_once(self, pks: Sequence[str], records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        date = date_of(self._clock())
        writings = [f"{date}{uuid4().hex[:20]}" for _ in records]
        before = self._rows.read_writings(pks)
        self._add_vectors(pks, writings, records, vectors)
        rows = [
            self._image_row(pk, writing, record, vectors_ND)
            for pk, writing, record, vectors_ND in zip(pks, writings, records, vectors, strict=True)
        ]
        self._calls.upsert(self._generation.images, rows)
        self._rows.drop_vectors(before)

    def _add_vectors(
        self,
        pks: Sequence[str],
        writings: Sequence[str],
        records: Sequence[ImageRecord],
        vectors: Sequence[FloatArray],
    ) -> None:
        """Write the vectors in one call, unless there are too many of them for one."""
        rows: list[Row] = []
        for pk, writing, record, vectors_ND in zip(pks, writings, records, vectors, strict=True):
            common: Row = {"tenant": self._tenant, "writing": writing}
            if self._generation.has_metadata:
                common[METADATA_FIELD] = write_metadata(record.metadata)
            for instance, vector_D in enumerate(np.asarray(vectors_ND, dtype=np.float32)):
                rows.append({"pk": vector_key(pk, writing, instance), "vector": vector_D, **common})
        step = max(1, 2 * _BYTES_PER_CALL // (4 * self._card.vector_width))
        for start in range(0, len(rows), step):
            self._calls.insert(self._generation.vectors, rows[start : start + step])

    def _image_row(self, pk: str, writing: str, record: ImageRecord, vectors_ND: FloatArray) -> Row:
        text = write_record(record)
        pieces = [text[start : start + MAX_PIECE_CHARACTERS] for start in range(0, len(text), MAX_PIECE_CHARACTERS)]
        if len(pieces) > MAX_PIECES:
            raise InputError(f"the record of image {record.image_id!r} has {len(text)} characters")
        return {"pk": pk, "writing": writing, "vector_count": len(vectors_ND), "record": pieces, "vector": [0.0, 0.0]}

    def _check_metadata(self) -> None:
        if not self._generation.has_metadata:
            raise SettingError(
                f"the generation of model {self._generation.model!r} of gallery {self._generation.gallery!r} was made "
                "before images had metadata: index its images into another gallery"
            )

    def _pk_of(self, image_id: str) -> str:
        return image_key(self._tenant, image_id)

    def _tell(self, found: Sequence[FoundVector]) -> RowHits:
        return RowHits(
            [one.image_id for one in found],
            np.array([one.instance for one in found], dtype=np.intp) if self._has_instances else None,
            np.array([one.similarity for one in found], dtype=np.float32),
        )


def _cut_batches(vectors: Sequence[FloatArray]) -> Iterator[int]:
    """Yield the ends of batches of up to 500 images and 16 MiB of vectors (or one image)."""
    count = size = 0
    for place, vectors_ND in enumerate(vectors):
        if count and (count == _IMAGES_PER_CALL or size + vectors_ND.nbytes > _BYTES_PER_CALL):
            yield place
            count = size = 0
        count, size = count + 1, size + vectors_ND.nbytes
    if count:
        yield len(vectors)
