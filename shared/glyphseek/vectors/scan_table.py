"""Every committed vector of a store in this process, searched exactly.

The table is a copy. Files keep it between sessions (see ScanFiles); an entry of theirs counts while the store has that
image under that key with that content, and what is missing or not sound is to be added from the store again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import GalleryDamaged, StoreError
from glyphseek.filters import Filter
from glyphseek.types import FloatArray
from glyphseek.vectors.catalogue import Catalogue, CommittedImage
from glyphseek.vectors.growing import GrowingArray
from glyphseek.vectors.scan import Found, ScanRows, find_largest
from glyphseek.vectors.scan_files import Entry, ScanFiles

_FOLDER, _DRAFT = "scan-", "draft-"
_FEW_ROWS = 8192
_IMAGES_AT_ONCE = 256
_FILTERS_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHits:
    """The F rows of one answer in columns: the image of each, which of its vectors it is, and the inner product."""

    images: Sequence[CommittedImage]
    instances_F: NDArray[np.int64]
    similarities_F: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """The table as it was at one moment; the rows of image number i begin at starts_I[i].

    `matching` keeps which rows were shown under the last filters: asking 100,000 images takes some 50 ms.
    """

    rows: ScanRows
    starts_I: NDArray[np.int64]
    images: Sequence[CommittedImage | None]
    matching: dict[Filter, ScanRows] = field(default_factory=dict[Filter, ScanRows])

    def rows_where(self, where: Filter | None) -> ScanRows:
        """Return the rows, of which those whose image `where` does not match do not count."""
        if where is None:
            return self.rows
        found = self.matching.get(where)
        if found is None:
            found = replace(self.rows, is_live_R=self.rows.is_live_R & self._match(where))
            if len(self.matching) >= _FILTERS_KEPT:
                self.matching.clear()
            self.matching[where] = found
        return found

    def _match(self, where: Filter) -> NDArray[np.bool_]:
        images = self.images[: len(self.starts_I)]
        matches_I = [image is not None and where.matches(image.record.metadata) for image in images]
        counts_I = np.diff(self.starts_I, append=len(self.rows.is_live_R))
        return np.repeat(np.array(matches_I, dtype=np.bool_), counts_I)


class ScanTable:
    """The rows of committed images. Searches may run beside one writer; each sees one moment."""

    @classmethod
    def open(cls, folder: Path, *, model: str, width: int, pool: Executor) -> ScanTable:
        """Open the newest table in `folder`, or an empty one when there is none of this model and width.

        Nothing is shown before `keep`. Searches run on `pool`. Raises StoreFull or StoreUnavailable.
        """
        generations = sorted(folder.glob(f"{_FOLDER}*"))
        for stale in (*generations[:-1], *folder.glob(f"{_DRAFT}*")):
            shutil.rmtree(stale, ignore_errors=True)
        newest = generations[-1] if generations else folder / f"{_FOLDER}000001"
        return cls(ScanFiles(newest, model=model, width=width), pool=pool)

    def __init__(self, files: ScanFiles, *, pool: Executor) -> None:
        kept = files.read()
        counts_I = np.array([entry.count for entry in kept.entries], dtype=np.int64)
        self._files = files
        self._pool = pool
        self._entries = kept.entries
        self._is_sound = kept.is_sound
        self._images: list[CommittedImage | None] = [None] * len(kept.entries)
        self._places: dict[int, int] = {}  # the number of the entry that holds the rows of a key
        self._starts = GrowingArray(np.cumsum(counts_I) - counts_I)
        self._codes = GrowingArray(kept.codes.codes_RD)
        self._measures = GrowingArray(kept.codes.measures_R3)
        self._is_live_R = np.zeros(len(kept.codes.codes_RD), dtype=np.bool_)
        self._moment = self._take_moment()

    @property
    def end_key(self) -> int:
        """Return the smallest number above all keys that were ever written here."""
        return 1 + max((entry.key for entry in self._entries), default=0)

    def keep(self, catalogue: Catalogue) -> list[CommittedImage]:
        """Show what the files have of the committed images; return those whose rows they do not have."""
        for place, (entry, is_sound) in enumerate(zip(self._entries, self._is_sound, strict=True)):
            image = catalogue.find_key(entry.key)
            if image is not None and is_sound and entry == _entry_of(image):
                self._images[place] = image
                self._places[entry.key] = place
        self._light(self._places.values(), is_shown=True)
        self._moment = self._take_moment()
        return [image for image in catalogue.images() if image.vector_count and image.key not in self._places]

    def add(self, images: Sequence[CommittedImage], vectors_RD: FloatArray) -> None:
        """Write the rows of images, one after another, without showing them. Raises StoreFull or StoreUnavailable."""
        entries = [_entry_of(image) for image in images]
        codes = self._files.append(entries, vectors_RD)
        counts_I = np.array([entry.count for entry in entries], dtype=np.int64)
        self._places |= {image.key: len(self._entries) + number for number, image in enumerate(images)}
        self._entries += entries
        self._images += images
        self._starts.add(len(self._is_live_R) + np.cumsum(counts_I) - counts_I)
        self._codes.add(codes.codes_RD)
        self._measures.add(codes.measures_R3)
        self._is_live_R = np.append(self._is_live_R, np.zeros(len(vectors_RD), dtype=np.bool_))

    def take_back(self, images: Sequence[CommittedImage]) -> None:
        """Remove the images that were added last and not shown."""
        count, rows = len(images), sum(image.vector_count for image in images)
        self._files.forget(self._entries[-count:])
        for image in images:
            del self._places[image.key]
        del self._entries[-count:], self._images[-count:]
        self._starts.drop(count)
        self._codes.drop(rows)
        self._measures.drop(rows)
        self._is_live_R = self._is_live_R[: len(self._is_live_R) - rows]

    def show(self, images: Sequence[CommittedImage], *, instead_of: Sequence[CommittedImage] = ()) -> None:
        """Show images that were added, and no longer show others, all at one moment."""
        self._is_live_R = self._is_live_R.copy()
        self._light([self._places[image.key] for image in images], is_shown=True)
        hidden = (self._places.pop(image.key, None) for image in instead_of)
        self._light([place for place in hidden if place is not None], is_shown=False)
        self._moment = self._take_moment()

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> Iterator[TableHits]:
        """Yield for each query the `limit` largest inner products of shown rows, and all that equal the last of them.

        Only rows of images whose metadata `where` matches count. In no order. All of one moment, that of the call.
        Raises, at once, GalleryDamaged when a row is not
        what was written; the table is to be discarded then.
        """
        moment = self._moment
        rows = moment.rows_where(where)
        # One list at a time: the garbage collector goes through what is alive, and a search makes thousands of hits.
        return map(partial(_name, moment), find_largest(rows, vectors_QD, limit, self._pool))

    def tidied(self, catalogue: Catalogue) -> ScanTable:
        """Return this table, or a smaller one that takes its place when most rows are no longer shown.

        Raises GalleryDamaged when rows are not what was written, StoreFull or StoreUnavailable when the smaller one
        cannot be written; this table goes on then.
        """
        live = int(self._is_live_R.sum())
        if len(self._is_live_R) - live <= max(live, _FEW_ROWS):
            return self
        generation = int(self._files.folder.name.removeprefix(_FOLDER)) + 1
        draft = self._files.folder.with_name(f"{_DRAFT}{generation:06}")
        try:
            self._copy_shown(draft)
        except (GalleryDamaged, StoreError):
            shutil.rmtree(draft, ignore_errors=True)
            raise
        place = draft.rename(draft.with_name(f"{_FOLDER}{generation:06}"))
        smaller = ScanTable(self._files.reopen(place), pool=self._pool)
        smaller.keep(catalogue)
        self.discard()
        return smaller

    def discard(self) -> None:
        """Close the table and remove its files."""
        self.close()
        shutil.rmtree(self._files.folder, ignore_errors=True)

    def close(self) -> None:
        """Close the files. Searches that run go on to their end."""
        self._files.close()

    def _copy_shown(self, folder: Path) -> None:
        files = self._files.reopen(folder)
        rows, starts_I = self._moment.rows, self._moment.starts_I
        places = sorted(self._places.values())
        for first in range(0, len(places), _IMAGES_AT_ONCE):
            part = places[first : first + _IMAGES_AT_ONCE]
            entries = [self._entries[place] for place in part]
            taken = np.concatenate(
                [np.arange(starts_I[place], starts_I[place] + self._entries[place].count) for place in part]
            )
            codes = files.append(entries, rows.vectors_RD[taken])
            if not np.array_equal(codes.codes_RD, rows.codes_RD[taken]):
                raise GalleryDamaged(f"rows of {self._files.folder} are not what their bytes were made of")
        files.close()

    def _light(self, places: Iterable[int], *, is_shown: bool) -> None:
        starts_I = self._starts.rows()
        for place in places:
            start = starts_I[place]
            self._is_live_R[start : start + self._entries[place].count] = is_shown

    def _take_moment(self) -> _Moment:
        rows = ScanRows(
            codes_RD=self._codes.rows(),
            measures_R3=self._measures.rows(),
            vectors_RD=self._files.map_rows(),
            is_live_R=self._is_live_R,
        )
        return _Moment(rows=rows, starts_I=self._starts.rows(), images=self._images)


def _name(moment: _Moment, found: Found) -> TableHits:
    """Return the rows with their images; those of an image that was let go meanwhile are left out."""
    places_F = np.searchsorted(moment.starts_I, found.rows_F, side="right") - 1
    instances_F = found.rows_F - moment.starts_I[places_F]
    named = [moment.images[place] for place in places_F.tolist()]
    images = [image for image in named if image is not None]
    if len(images) == len(named):
        return TableHits(images=images, instances_F=instances_F, similarities_F=found.products_F)
    kept_F = np.array([image is not None for image in named], dtype=bool)
    return TableHits(images=images, instances_F=instances_F[kept_F], similarities_F=found.products_F[kept_F])


def _entry_of(image: CommittedImage) -> Entry:
    written = f"{image.record.image_id}\n{image.record.content_hash}".encode("utf-8", "surrogatepass")
    stamp = int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "little")
    return Entry(key=image.key, stamp=stamp, count=image.vector_count)
