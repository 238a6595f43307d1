"""The job of an encoder: image files in, blobs in the store, and what the rows need back to the caller.

It commits nothing: whoever asked writes the rows, so that a row always has its blob.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol

from glyphseek.contexts import ContextThreads
from glyphseek.errors import ImageError, ImageUnsupported, InputError
from glyphseek.indexing.opening import EncodedFile, OpenedPhoto, open_photo
from glyphseek.indexing.packing import BlobWriter, instance_count_of, read_left_blob, vectors_of
from glyphseek.indexing.settings import EncodingSettings
from glyphseek.ports import FeatureStore, Model, blob_key
from glyphseek.tracing import span
from glyphseek.types import FloatArray, ImageFeatures, ImageRecord, ModelCard

_LOG = logging.getLogger(__name__)
_DEFAULTS = EncodingSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image whose blob is in the store. `record` lacks names and metadata.

    vectors: (n, D) float32, the rows that recall searches, as the blob holds them. reused: the blob was there before.
    """

    record: ImageRecord
    vectors: FloatArray = field(repr=False)
    reused: bool = False


class ImageEncoding(Protocol):
    """What encodes images and stores their blobs: an `ImageEncoder` in this process, or one behind a service."""

    def encode_and_store(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        """Return for each file, in order, what its row needs, or why it cannot be indexed.

        Raises ServiceError or StoreError when none of them may be taken as stored.
        """
        ...


class ImageEncoder:
    """Encodes images with one model and writes their blobs. May be used from several threads; close it after use.

    An image that cannot be encoded is told in its place and never fails the others. A sound blob under the id that
    content alone gives is used again; under a caller's id it is written anew, since it may be of another content.
    """

    def __init__(self, model: Model, features: FeatureStore, settings: EncodingSettings = _DEFAULTS) -> None:
        """Keep the parts. Raises SettingError when the model's features cannot be packed with the codec."""
        self._model = model
        self._features = features
        self._settings = settings
        self._writer = BlobWriter(
            model=model, features=features, codec=settings.codec, keep_likelihood=settings.keep_likelihood
        )
        self._threads = ContextThreads(settings.threads, "glyphseek-photos")

    def __enter__(self) -> ImageEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def card(self) -> ModelCard:
        """Return the card of the model."""
        return self._model.card

    def encode_and_store(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        """Open, encode and store image files; answers are in their order. Raises what the store raises.

        Files that share a caller's id must be of one content.
        """
        return self._store(list(self._threads.map(self._open, files)))

    def store_opened(self, photos: Sequence[OpenedPhoto | ImageError]) -> list[StoredImage | ImageError]:
        """Do the same with photos that are open already; an error stays in its place."""
        return self._store(list(self._threads.map(self._prepare, photos)))

    def close(self) -> None:
        """End the threads; those at work finish."""
        self._threads.shutdown()

    def _open(self, file: EncodedFile) -> OpenedPhoto | ImageError:
        return self._prepare(open_photo(file, limits=self._settings.limits, longer_side=self._model.card.longer_side))

    def _prepare(self, photo: OpenedPhoto | ImageError) -> OpenedPhoto | ImageError:
        """Return the photo at the size that the model reads: full size is held only while it is at work here."""
        if isinstance(photo, ImageError):
            return photo
        try:
            return replace(photo, pixels=self._model.prepare(photo.pixels))
        except Exception as error:  # noqa: BLE001 - one odd picture must not stop a run, whatever the model raises
            return _refuse(photo, error)

    def _store(self, photos: Sequence[OpenedPhoto | ImageError]) -> list[StoredImage | ImageError]:
        """Store prepared photos, one that occurs twice once."""
        opened = [photo for photo in photos if isinstance(photo, OpenedPhoto)]
        wanted = {(photo.record.image_id, photo.record.content_hash): photo for photo in opened}
        stored = dict(zip(wanted, self._store_each(list(wanted.values())), strict=True))
        return [
            photo if isinstance(photo, ImageError) else stored[photo.record.image_id, photo.record.content_hash]
            for photo in photos
        ]

    def _store_each(self, photos: Sequence[OpenedPhoto]) -> list[StoredImage | ImageError]:
        left = self._find_left(photos)
        new = [photo for photo, found in zip(photos, left, strict=True) if found is None]
        encoded = iter(list(self._threads.map(self._write, new, self._encode(new))))
        return [
            next(encoded) if found is None else _describe(photo, found, reused=True)
            for photo, found in zip(photos, left, strict=True)
        ]

    def _find_left(self, photos: Sequence[OpenedPhoto]) -> list[ImageFeatures | None]:
        """Return the vectors of blobs that are there already, in one round of reads."""
        fingerprint = self._model.card.fingerprint
        ids = [photo.record.image_id for photo in photos if not photo.is_named_by_caller]
        blobs = dict(zip(ids, self._features.get([blob_key(fingerprint, one) for one in ids]), strict=True))
        return [
            read_left_blob(blobs.get(photo.record.image_id), fingerprint=fingerprint, image_id=photo.record.image_id)
            for photo in photos
        ]

    def _encode(self, photos: Sequence[OpenedPhoto]) -> Iterator[ImageFeatures | ImageError]:
        """Yield the features of each photo. The model is given several batches at once, so that it never waits."""
        size = self._settings.batch_images
        batches = [photos[start : start + size] for start in range(0, len(photos), size)]
        for found in self._threads.map(self._encode_batch, batches):
            yield from found

    def _encode_batch(self, photos: Sequence[OpenedPhoto]) -> list[ImageFeatures | ImageError]:
        try:
            with span("images.encode", images=len(photos)):
                return [*self._model.encode_images([photo.pixels for photo in photos])]
        except Exception:  # noqa: BLE001 - one odd picture must not stop a run, whatever the model raises
            _LOG.exception("batch_not_encoded images=%d", len(photos))
            return [self._encode_one(photo) for photo in photos]

    def _encode_one(self, photo: OpenedPhoto) -> ImageFeatures | ImageError:
        try:
            return self._model.encode_images([photo.pixels])[0]
        except Exception as error:  # noqa: BLE001 - as above; the log has it, the caller gets the reason
            return _refuse(photo, error)

    def _write(self, photo: OpenedPhoto, found: ImageFeatures | ImageError) -> StoredImage | ImageError:
        if isinstance(found, ImageError):
            return found
        try:
            return _describe(photo, self._writer.write(photo.record.image_id, found), reused=False)
        except InputError as error:
            return _refuse(photo, error)


def _describe(photo: OpenedPhoto, stored: ImageFeatures, *, reused: bool) -> StoredImage:
    record = replace(photo.record, instance_count=instance_count_of(stored))
    return StoredImage(record=record, vectors=vectors_of(stored), reused=reused)


def _refuse(photo: OpenedPhoto, error: Exception) -> ImageError:
    _LOG.warning("image_not_encoded image_id=%s reason=%r", photo.record.image_id, error)
    return error if isinstance(error, ImageError) else ImageUnsupported(f"not indexed: {type(error).__name__}: {error}")
