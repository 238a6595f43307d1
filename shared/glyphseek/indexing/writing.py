"""Blobs first, rows last: the end of the pipeline, and the only place that commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from glyphseek.errors import InputError
from glyphseek.indexing.describing import NO_DESCRIPTIONS, Descriptions
from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.loading import PreparedImage
from glyphseek.indexing.packing import BlobWriter, instance_count_of, vectors_of
from glyphseek.indexing.settings import IndexSettings
from glyphseek.ports import VectorStore
from glyphseek.types import FloatArray, ImageFeatures, ImageRecord


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes the blob of every image at once, and commits rows several at a time. For one thread."""

    vectors: VectorStore
    blobs: BlobWriter
    ledger: Ledger
    settings: IndexSettings
    descriptions: Descriptions = NO_DESCRIPTIONS
    clock: Callable[[], float] = time.monotonic
    _committed_s: float = field(init=False)
    _records: list[ImageRecord] = field(default_factory=list[ImageRecord])
    _vectors: list[FloatArray] = field(default_factory=list[FloatArray])
    added: int = 0

    def __post_init__(self) -> None:
        self._committed_s = self.clock()

    def write(self, images: Sequence[PreparedImage], features: Sequence[ImageFeatures]) -> None:
        """Write blobs of images in the order of their features, and commit when enough images or time have passed.

        Raises StoreFull and the other errors of the stores; features that no blob can hold are noted in the ledger.
        """
        for image, found in zip(images, features, strict=True):
            try:
                self._write_blob(image, found)
            except InputError as error:
                self.ledger.reject(image.record.content_hash, error)
        is_due = self.clock() - self._committed_s >= self.settings.commit_s
        if is_due or len(self._records) >= self.settings.commit_images:
            self.commit()

    def commit(self) -> None:
        """Commit the images whose blobs are written. What has been committed is never written again."""
        if self._records:
            named = [self._name(record) for record in self._records]
            self.vectors.put(named, self._vectors)
            self.ledger.commit(named)
            self.added += len(named)
            self._records, self._vectors = [], []
        self._committed_s = self.clock()

    def _name(self, record: ImageRecord) -> ImageRecord:
        names = self.ledger.names_of(record.content_hash)
        return self.descriptions.describe(replace(record, names=names), names)

    def _write_blob(self, image: PreparedImage, found: ImageFeatures) -> None:
        stored = self.blobs.write(image.record.image_id, found) if image.features is None else found
        self._vectors.append(vectors_of(stored))
        self._records.append(replace(image.record, instance_count=instance_count_of(stored)))
