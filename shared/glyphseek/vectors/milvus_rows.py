"""The image rows of one tenant in one generation on a Milvus server: what can be done without knowing the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import GalleryDamaged
from glyphseek.types import ImageRecord
from glyphseek.vectors.catalogue import read_record
from glyphseek.vectors.milvus_client import MilvusCalls, Row
from glyphseek.vectors.milvus_generations import Generation
from glyphseek.vectors.milvus_keys import (
    FoundVector,
    date_of,
    fits_key,
    image_key,
    key_after,
    read_vector_key,
    vector_key,
)

_IMAGES_PER_CALL = 500
_ROWS_PER_PAGE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A writing of an image as its row states it."""

    name: str
    vector_count: int


class MilvusRows:
    """Reads rows and removes vectors; safe to use from several threads. Every method raises StoreUnavailable."""

    def __init__(
        self,
        *,
        calls: MilvusCalls,
        generation: Generation,
        tenant: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read through a connection that somebody else closes. `clock` returns seconds since 1970."""
        self._calls = calls
        self._generation = generation
        self._tenant = tenant
        self._clock = clock
        self._my_keys = f'pk < "{tenant}0"'  # primary keys begin with the tenant and `/`, which `0` follows

    @property
    def generation(self) -> Generation:
        """Return whose rows these are."""
        return self._generation

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return the records that exist; unknown ids are absent from the answer."""
        pks = [image_key(self._tenant, image_id) for image_id in dict.fromkeys(image_ids) if fits_key(image_id)]
        if not pks:
            return {}
        rows = self._calls.get(self._generation.images, pks, ["pk", "record"], since=self._calls.now())
        records = {record.image_id: record for record in map(_read_row, rows)}
        return {image_id: records[image_id] for image_id in image_ids if image_id in records}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield every image whose id comes after `after` once, ordered by image id, a page of 2,000 at a time.

        An image that is written or removed meanwhile may be there or not.
        """
        for row in self._read_all(self._generation.images, ["record"], after=key_after(self._tenant, after)):
            yield _read_row(row)

    def count(self) -> int:
        """Return how many images the tenant has."""
        where = f'pk > "{self._tenant}/" and {self._my_keys}'
        return self._calls.count(self._generation.images, where=where, since=self._calls.now())

    def has_other_tenants(self) -> bool:
        """Return whether somebody else has images in the generation."""
        where = f'(pk < "{self._tenant}/" or pk >= "{self._tenant}0")'
        return self._calls.count(self._generation.images, where=where, since=self._calls.now()) > 0

    def delete(self, image_ids: Sequence[str]) -> None:
        """Remove images, row first; unknown ids are ignored. A removed image is in no answer that is asked for later,
        by whichever process."""
        pks = [image_key(self._tenant, image_id) for image_id in dict.fromkeys(image_ids) if fits_key(image_id)]
        with deadline_bound(None):
            for start in range(0, len(pks), _IMAGES_PER_CALL):
                part = pks[start : start + _IMAGES_PER_CALL]
                writings = self.read_writings(part)
                self._calls.delete(self._generation.images, part)
                self.drop_vectors(writings)

    def read_writings(self, pks: Sequence[str]) -> dict[str, Writing]:
        """Return by primary key which writing of an image counts."""
        fields = ["pk", "writing", "vector_count"]
        rows = self._calls.get(self._generation.images, pks, fields, since=self._calls.now())
        return {str(row["pk"]): _read_writing(row) for row in rows}

    def read_counting(self, image_ids: Iterable[str], *, since: int) -> dict[str, str]:
        """Return by image id which writing counts; images that have no row are absent."""
        images = {image_key(self._tenant, image_id): image_id for image_id in image_ids}
        rows = self._calls.get(self._generation.images, list(images), ["pk", "writing"], since=since) if images else []
        return {images[str(row["pk"])]: str(row["writing"]) for row in rows}

    def drop_vectors(self, writings: Mapping[str, Writing]) -> None:
        """Remove the vectors of writings, given by the primary keys of their images."""
        pks = [
            vector_key(pk, writing.name, instance)
            for pk, writing in writings.items()
            for instance in range(writing.vector_count)
        ]
        self._calls.delete(self._generation.vectors, pks)

    def remove_leftovers(self, *, older_than_s: float = 3600.0) -> int:
        """Remove the vectors of writings that do not count and are older than `older_than_s`; return how many.

        They are of writers that died or were overtaken. The age keeps clear of images that are being written now: it
        must be longer than a put may take and clocks may differ.
        """
        newest = date_of(self._clock() - older_than_s)
        removed, batch = 0, list[FoundVector]()
        for row in self._read_all(self._generation.vectors, ["writing"], after=f"{self._tenant}/"):
            if str(row["writing"]) < newest:
                batch.append(read_vector_key(str(row["pk"]), 0.0))
            if len(batch) == _ROWS_PER_PAGE:
                removed += self._drop_uncommitted(batch)
                batch = []
        return removed + self._drop_uncommitted(batch)

    def _drop_uncommitted(self, found: Sequence[FoundVector]) -> int:
        counting = self.read_counting((one.image_id for one in found), since=self._calls.now())
        doomed = [one for one in found if one.writing != counting.get(one.image_id)]
        pks = [vector_key(image_key(self._tenant, one.image_id), one.writing, one.instance) for one in doomed]
        self._calls.delete(self._generation.vectors, pks)
        return len(pks)

    def _read_all(self, collection: str, fields: Sequence[str], *, after: str) -> Iterator[Row]:
        since = self._calls.now()
        while True:
            rows = self._calls.read_page(
                collection, fields, where=self._my_keys, after=after, limit=_ROWS_PER_PAGE, since=since
            )
            yield from rows
            if len(rows) < _ROWS_PER_PAGE:
                return
            after = str(rows[-1]["pk"])


def _read_writing(row: Row) -> Writing:
    return Writing(name=str(row["writing"]), vector_count=int(str(row["vector_count"])))


def _read_row(row: Row) -> ImageRecord:
    pieces = row["record"]
    try:
        if not isinstance(pieces, list):
            raise TypeError(f"record is {type(pieces).__name__}")
        return read_record("".join(str(piece) for piece in pieces))
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryDamaged(f"the row {row['pk']} cannot be read: {error}") from error
