"""From a file to an image that is ready for the model; the part of the pipeline that runs in several threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from glyphseek.errors import ImageError, ImageTooLarge
from glyphseek.images import FileStamp, FoundFile, read_file
from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.opening import EncodedFile, hash_content, open_photo
from glyphseek.indexing.packing import read_left_blob
from glyphseek.indexing.report import Skip
from glyphseek.indexing.settings import IndexSettings
from glyphseek.ports import FeatureStore, Model, blob_key
from glyphseek.types import ImageFeatures, ImageRecord, RgbImage

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedImage:
    """An image for the model. `record` lacks names and instance count; `features` are those of a blob left earlier."""

    record: ImageRecord
    pixels: RgbImage
    features: ImageFeatures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of one file.

    image: None when the content is known, or was refused. skip: set when the file could not be read at all; then the
    content, hence what happened to it, is unknown and `content_hash` is None unless it was too large to look at.
    """

    file: FoundFile
    read_ns: int
    stamp: FileStamp | None = None
    content_hash: str | None = None
    image: PreparedImage | None = None
    skip: Skip | None = None
    is_unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Reads, hashes, decodes and prepares files. `load` may run in several threads."""

    model: Model
    features: FeatureStore
    ledger: Ledger
    settings: IndexSettings
    now_ns: Callable[[], int] = time.time_ns

    def load(self, file: FoundFile) -> Loaded:
        """Return the file's prepared image if its content is new, and note in the ledger who holds what.

        Never raises for what is wrong with the file or its picture.
        """
        read_ns = self.now_ns()
        try:
            content = read_file(file.path, limits=self.settings.limits)
        except ImageError as error:
            skip = Skip(name=file.name, kind=type(error).__name__, message=str(error))
            return Loaded(file=file, read_ns=read_ns, skip=skip, is_unreachable=not isinstance(error, ImageTooLarge))
        content_hash = hash_content(content.data)
        self.ledger.attach(content_hash, file.name)
        image = self._prepare(content_hash, content.data) if self.ledger.claim(content_hash) else None
        return Loaded(file=file, read_ns=read_ns, stamp=content.stamp, content_hash=content_hash, image=image)

    def _prepare(self, content_hash: str, data: bytes) -> PreparedImage | None:
        opened = open_photo(
            EncodedFile(content=data), limits=self.settings.limits, longer_side=self.settings.longer_side
        )
        if isinstance(opened, ImageError):
            self.ledger.reject(content_hash, opened)
            return None
        try:
            pixels = self.model.prepare(opened.pixels)
        except Exception as error:  # noqa: BLE001 - one odd picture must not stop a run, whatever the model raises
            _LOG.exception("image_not_prepared content_hash=%s", content_hash)
            self.ledger.reject(content_hash, error)
            return None
        features = self._features_left_by_an_earlier_run(opened.record.image_id)
        return PreparedImage(record=opened.record, pixels=pixels, features=features)

    def _features_left_by_an_earlier_run(self, image_id: str) -> ImageFeatures | None:
        """Return the vectors of a blob that was written, but whose row was not: a run was killed between the two."""
        fingerprint = self.model.card.fingerprint
        blob = self.features.get([blob_key(fingerprint, image_id)])[0]
        return read_left_blob(blob, fingerprint=fingerprint, image_id=image_id)
