"""Blobs first, rows last: the end of the pipeline, and the only place that commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from glyphseek.errors import InputError, SettingError
from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.loading import PreparedImage
from glyphseek.indexing.settings import IndexSettings
from glyphseek.ports import FeatureStore, VectorStore, blob_key
from glyphseek.tokens import CodecName, TokenCodebook, pack, unpack_vectors
from glyphseek.tokens.codecs import find_codec
from glyphseek.types import FloatArray, ImageFeatures, ImageRecord


def vectors_of(features: ImageFeatures) -> FloatArray:
    """Return the (n, D) rows that recall searches: the instance vectors, or else the global vector.

    Raises InputError for features that have neither.
    """
    if features.instances is not None:
        return features.instances.vectors_ND
    if features.global_vector_D is not None:
        return features.global_vector_D[None, :]
    raise InputError("the model gave neither instances nor a global vector, so the image cannot be searched")


def instance_count_of(features: ImageFeatures) -> int:
    """Return how many words the model found, 0 for a method that does not look for words."""
    return 0 if features.instances is None else len(features.instances)


def check_codec(codec: CodecName, codebook: TokenCodebook | None) -> None:
    """Raise SettingError when the codec needs tables that the model's codebook does not have."""
    bits = find_codec(codec).residual_bits
    if bits is None:
        return
    if codebook is None:
        raise SettingError(f"codec {codec} needs a codebook and this model has none; use fp16 or int8")
    codebook.residual_tables(bits)


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes the blob of every image at once, and commits rows several at a time. For one thread.

    The rows get the vectors as the blob holds them, so that recall and matching agree, and so that a row can be
    written again from its blob alone without changing it.
    """

    vectors: VectorStore
    features: FeatureStore
    ledger: Ledger
    settings: IndexSettings
    fingerprint: str
    codebook: TokenCodebook | None = None
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
            named = [replace(record, names=self.ledger.names_of(record.content_hash)) for record in self._records]
            self.vectors.put(named, self._vectors)
            self.ledger.commit(named)
            self.added += len(named)
            self._records, self._vectors = [], []
        self._committed_s = self.clock()

    def _write_blob(self, image: PreparedImage, found: ImageFeatures) -> None:
        stored, blob = found, None
        if image.features is None:
            blob = pack(
                found,
                codec=self.settings.codec,
                fingerprint=self.fingerprint,
                codebook=self.codebook,
                keep_likelihood=self.settings.keep_likelihood,
            )
            stored = unpack_vectors(blob, fingerprint=self.fingerprint)
        vectors_ND = vectors_of(stored)
        if blob is not None:
            self.features.put(blob_key(self.fingerprint, image.record.image_id), blob)
        self._records.append(replace(image.record, instance_count=instance_count_of(stored)))
        self._vectors.append(vectors_ND)
