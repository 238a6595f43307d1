"""The committed images of a store, in memory: which key stands for which image, and how many vectors it has.

A key is a number that is given once, to one writing of one image. Vectors are filed under the key, so vectors of a
writing that was never committed, or of one that was replaced, have a key that no committed image has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from glyphseek.errors import InputError
from glyphseek.types import ImageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedImage:
    """One committed writing of an image: its key, how many vectors were written under it, and the record."""

    key: int
    vector_count: int
    record: ImageRecord


class Catalogue:
    """Committed images by id and by key. Reads may run beside one writer."""

    def __init__(self) -> None:
        self._by_id: dict[str, CommittedImage] = {}
        self._by_key: dict[int, CommittedImage] = {}
        self._next_key = 1
        self._vector_count = 0

    @property
    def vector_count(self) -> int:
        """Return how many vectors the committed images have together."""
        return self._vector_count

    @property
    def end_key(self) -> int:
        """Return the smallest number that no key reaches so far."""
        return self._next_key

    def __len__(self) -> int:
        return len(self._by_id)

    def skip_keys(self, end_key: int) -> None:
        """Give no key below `end_key` any more."""
        self._next_key = max(self._next_key, end_key)

    def take_key(self) -> int:
        """Return a key that was never given before."""
        key, self._next_key = self._next_key, self._next_key + 1
        return key

    def add(self, image: CommittedImage) -> CommittedImage | None:
        """Commit an image; of two writings of one image the larger key counts. Return the one that does not, if any."""
        before = self._by_id.get(image.record.image_id)
        self._next_key = max(self._next_key, image.key + 1)
        if before is not None and before.key > image.key:
            return image
        self._by_key[image.key] = image
        self._by_id[image.record.image_id] = image
        self._vector_count += image.vector_count
        if before is not None:
            self._forget_key(before)
        return before

    def remove(self, image_id: str) -> CommittedImage | None:
        """Remove an image and return its writing, or None when there was none."""
        image = self._by_id.pop(image_id, None)
        if image is not None:
            self._forget_key(image)
        return image

    def find(self, image_id: str) -> CommittedImage | None:
        """Return the committed writing of an image."""
        return self._by_id.get(image_id)

    def find_key(self, key: int) -> CommittedImage | None:
        """Return the image that was committed under `key`."""
        return self._by_key.get(key)

    def records(self, *, after: str = "") -> Iterator[ImageRecord]:
        """Yield the records of this moment whose ids come after `after`, ordered by image id."""
        found = [image.record for image in self._by_id.values() if image.record.image_id > after]
        yield from sorted(found, key=lambda record: record.image_id)

    def images(self) -> list[CommittedImage]:
        """Return the committed images of this moment, ordered by key."""
        return sorted(self._by_key.values(), key=lambda image: image.key)

    def count_vectors(self, first_key: int, end_key: int) -> int:
        """Return how many vectors the images with keys in [first_key, end_key) have."""
        keys = range(first_key, end_key) if end_key - first_key < len(self._by_key) else list(self._by_key)
        found = (self._by_key.get(key) for key in keys if first_key <= key < end_key)
        return sum(image.vector_count for image in found if image is not None)

    def _forget_key(self, image: CommittedImage) -> None:
        del self._by_key[image.key]
        self._vector_count -= image.vector_count


def write_record(record: ImageRecord) -> str:
    """Return a record as ASCII JSON, which carries any text: quotes, line ends, names that are no valid Unicode."""
    return json.dumps(asdict(record))


def read_record(text: str) -> ImageRecord:
    """Return the record that `write_record` wrote. Raises ValueError, KeyError or TypeError for other text."""
    fields = json.loads(text)
    try:
        return ImageRecord(**(fields | {"names": tuple(fields["names"])}))
    except InputError as error:
        raise ValueError(str(error)) from error
