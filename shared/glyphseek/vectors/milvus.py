"""Image rows and vectors in Milvus Lite, a folder on this machine.

Two collections. `images` has one row per committed writing of an image (its key, its record as JSON, how many vectors
it has) and is held in memory as a `Catalogue`; `vectors` has one row per vector under `key * 65,536 + instance`. A
writing takes a fresh key, writes its vectors, then its image row, which is the commit, then removes what it replaced.
So a writer that dies leaves either the old image or the new one, and at most vectors without an image, which no search
shows and the next owner removes.

The database is where rows are kept. Searches go over a copy of the vectors in this process (see ScanTable): the
database makes a pass over all of them for every query vector, the copy one for all vectors of a query, and over a
quarter of the bytes. Answers are exact. A copy that is missing, old or damaged is made again from the rows.

A store that is searched is there to stay, and is many objects: three for each image. From its first search until it is
closed the garbage collector leaves what there was by then alone (`gc.freeze`, for the whole process). It went through
all of it, 75 ms for 10,000 images, in one of a dozen searches for a prefix, each of which makes thousands of hits.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from glyphseek.errors import GalleryDamaged, StoreError, StoreUnavailable
from glyphseek.filters import Filter
from glyphseek.types import FloatArray, ImageRecord, ModelCard, RowHits
from glyphseek.vectors.catalogue import Catalogue, CommittedImage, read_record, write_record
from glyphseek.vectors.checks import MAX_INSTANCES, check_put, check_search, has_instance_rows
from glyphseek.vectors.folder_lock import FolderLock
from glyphseek.vectors.milvus_tables import MAX_PK, ROWS_PER_CALL, ImageRow, MilvusTables
from glyphseek.vectors.ordering import order_hits
from glyphseek.vectors.scan_table import ScanTable

_DATABASE = "gallery.db"
_FEW_ROWS = 4000
_MOST_THREADS = 4
_IMAGES_PER_READ = 256

_LOG = logging.getLogger(__name__)


class MilvusLiteStore:
    """A vector store in a folder, owned by one process at a time; safe to use from several threads.

    Opening reads the image rows; the first search reads the search table (0.1 s for 100,000 vectors of width 768, 20 s
    when it must be made again), the first put or delete also has the database load its vectors (2.4 s). What a call has
    written survives the end of the process, however it ends, as soon as the call returns.
    """

    @classmethod
    def open(cls, folder: Path, *, card: ModelCard) -> MilvusLiteStore:
        """Open the store in `folder`, or create it for the model of `card`.

        Raises GalleryBusy when it is open already, here or in another process, ModelMismatch (with both names) when
        another model wrote it, GalleryDamaged when it cannot be read, StoreUnavailable when the folder cannot be made.
        """
        with ExitStack() as undo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = FolderLock(folder)
            except OSError as error:
                raise StoreUnavailable(f"cannot use {folder}: {error.strerror}") from error
            undo.callback(lock.release)
            tables = MilvusTables((folder / _DATABASE).resolve(), card=card)
            undo.callback(tables.close)
            pool = undo.enter_context(ThreadPoolExecutor(_count_threads(), thread_name_prefix="scan"))
            catalogue, superseded = _read_catalogue(tables, folder)
            return cls(
                folder=folder,
                tables=tables,
                catalogue=catalogue,
                superseded=superseded,
                card=card,
                pool=pool,
                on_close=undo.pop_all(),
            )

    def __init__(
        self,
        *,
        folder: Path,
        tables: MilvusTables,
        catalogue: Catalogue,
        superseded: Sequence[CommittedImage],
        card: ModelCard,
        pool: Executor,
        on_close: ExitStack,
    ) -> None:
        self._folder = folder
        self._pool = pool
        self._table: ScanTable | None = None
        self._tables = tables
        self._catalogue = catalogue
        self._superseded = superseded
        self._card = card
        self._on_close = on_close
        self._is_ready = False
        self._writing = threading.RLock()

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        """Write or replace images: `vectors[i]` is (n_i, D) of `records[i]`, n_i may be 0. Vectors first, rows last.

        An image that is replaced stays as it was until its new row is written. Up to 1,000 images become visible at
        once. Raises InputError for vectors that do not fit, before anything is written; StoreFull or StoreUnavailable
        with each image either as it was or as it should be.
        """
        check_put(records, vectors, self._card)
        with self._writing:
            self._make_ready()
            table = self._open_table()
            for start in range(0, len(records), ROWS_PER_CALL):
                part = slice(start, start + ROWS_PER_CALL)
                self._put_at_once(table, records[part], vectors[part])
            self._tidy(table)

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        """Return for each query the `limit` rows of largest inner product, best first, ties by image id then instance.

        Exact, and of one moment: an image that is written or removed meanwhile is there whole or not at all. Rows of
        images that were never committed, or whose metadata `where` does not match, are left out before the limit is
        applied. Raises InputError for queries of another width and a limit
        outside 1 to 10,000.
        """
        check_search(vectors_QD, limit, self._card)
        vectors_QD = vectors_QD.astype(np.float32, copy=False)
        table = self._open_table()
        try:
            found = table.search(vectors_QD, limit, where=where)
        except GalleryDamaged:
            found = self._make_again(table).search(vectors_QD, limit, where=where)
        has_instances = has_instance_rows(self._card)
        return [order_hits(hits, limit=limit, has_instances=has_instances) for hits in found]

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist; unknown ids are absent from the answer. Touches memory only."""
        found = ((image_id, self._catalogue.find(image_id)) for image_id in image_ids)
        return {image_id: image.record for image_id, image in found if image is not None}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image that exists when the first is asked for and comes after `after`, once, ordered by id."""
        return self._catalogue.records(after=after)

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images, row first; unknown ids are ignored. A removed image is never in a later answer."""
        with self._writing:
            found = (self._catalogue.find(image_id) for image_id in dict.fromkeys(image_ids))
            images = [image for image in found if image is not None]
            self._make_ready()
            table = self._open_table()
            self._tables.drop_images([image.key for image in images])
            for image in images:
                self._catalogue.remove(image.record.image_id)
            table.show([], instead_of=images)
            self._tables.drop_vectors(_pks_of(images))
            self._tidy(table)

    def count(self) -> int:
        """Return how many images there are."""
        return len(self._catalogue)

    def close(self) -> None:
        """Stop the database and let the next owner in; the store must not be used afterwards. Closing twice is fine."""
        if self._table is not None:
            self._table.close()
            self._table = None
            gc.unfreeze()
        self._on_close.close()

    def _put_at_once(self, table: ScanTable, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        images = [
            CommittedImage(key=self._catalogue.take_key(), vector_count=len(vectors_ND), record=record)
            for record, vectors_ND in zip(records, vectors, strict=True)
        ]
        vectors_RD = np.concatenate(vectors).astype(np.float32, copy=False)
        table.add(images, vectors_RD)
        try:
            self._tables.add_vectors(_pks_of(images), vectors_RD)
            self._tables.add_images([_row_of(image) for image in images])
        except BaseException:
            table.take_back(images)
            raise
        replaced = [before for image in images if (before := self._catalogue.add(image)) is not None]
        table.show(images, instead_of=replaced)
        self._drop(replaced)

    def _open_table(self) -> ScanTable:
        """Return the search table, made of the rows where its files do not have them."""
        table = self._table
        if table is None:
            with self._writing:
                table = self._table or self._read_table()
                self._table = table
                gc.freeze()
        return table

    def _read_table(self) -> ScanTable:
        fingerprint, width = self._card.fingerprint, self._card.vector_width
        table = ScanTable.open(self._folder, model=fingerprint, width=width, pool=self._pool)
        self._catalogue.skip_keys(table.end_key)
        missing = table.keep(self._catalogue)
        if missing:
            _LOG.info("search_table_incomplete folder=%s images=%d", self._folder, len(missing))
            self._make_ready()
        for start in range(0, len(missing), _IMAGES_PER_READ):
            images = missing[start : start + _IMAGES_PER_READ]
            table.add(images, self._tables.read_vectors(_pks_of(images), width))
            table.show(images)
        return table

    def _make_again(self, damaged: ScanTable) -> ScanTable:
        with self._writing:
            if self._table is damaged:
                _LOG.warning("search_table_damaged folder=%s", self._folder)
                damaged.discard()
                self._table = None
            return self._open_table()

    def _tidy(self, table: ScanTable) -> None:
        try:
            self._table = table.tidied(self._catalogue)
        except GalleryDamaged:
            self._make_again(table)
        except StoreError as error:  # the larger table serves as well
            _LOG.info("search_table_not_tidied folder=%s reason=%s", self._folder, error)

    def _drop(self, images: Sequence[CommittedImage]) -> None:
        self._tables.drop_images([image.key for image in images])
        self._tables.drop_vectors(_pks_of(images))

    def _make_ready(self) -> None:
        with self._writing:
            if not self._is_ready:
                self._tables.load_vectors()
                self._drop(self._superseded)
                self._remove_leftovers()
                self._is_ready = True

    def _remove_leftovers(self) -> None:
        """Remove vectors whose key no committed image has: what a writer left that died."""
        expected = self._catalogue.vector_count
        if self._tables.count_vectors() == expected:
            return
        end_key = self._catalogue.end_key
        self._remove_leftovers_between(0, end_key)
        while leftovers := self._tables.list_vectors(end_key * MAX_INSTANCES, MAX_PK):
            self._tables.drop_vectors(leftovers)
        if (found := self._tables.count_vectors()) != expected:
            raise GalleryDamaged(f"the store has {found} vectors, its images have {expected}")

    def _remove_leftovers_between(self, first_key: int, end_key: int) -> None:
        first_pk, end_pk = first_key * MAX_INSTANCES, end_key * MAX_INSTANCES
        count = self._tables.count_vectors(first_pk, end_pk)
        if count == self._catalogue.count_vectors(first_key, end_key):
            return
        if count <= _FEW_ROWS or end_key - first_key == 1:
            found = self._tables.list_vectors(first_pk, end_pk)
            self._tables.drop_vectors([pk for pk in found if self._catalogue.find_key(pk // MAX_INSTANCES) is None])
            return
        middle = (first_key + end_key) // 2
        self._remove_leftovers_between(first_key, middle)
        self._remove_leftovers_between(middle, end_key)


def _count_threads() -> int:
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def _pks_of(images: Sequence[CommittedImage]) -> list[int]:
    return [image.key * MAX_INSTANCES + instance for image in images for instance in range(image.vector_count)]


def _row_of(image: CommittedImage) -> ImageRow:
    return ImageRow(key=image.key, vector_count=image.vector_count, record=write_record(image.record))


def _read_catalogue(tables: MilvusTables, folder: Path) -> tuple[Catalogue, list[CommittedImage]]:
    """Return the committed images, and older writings of the same images whose writer died before removing them."""
    catalogue, superseded = Catalogue(), list[CommittedImage]()
    for row in tables.read_images():
        try:
            record = read_record(row.record)
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryDamaged(f"row {row.key} of {folder} cannot be read: {error}") from error
        before = catalogue.add(CommittedImage(key=row.key, vector_count=row.vector_count, record=record))
        if before is not None:
            superseded.append(before)
    return catalogue, superseded
