"""Batches through the model, from any thread; one odd picture is left out alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyphseek.indexing.ledger import Ledger
from glyphseek.indexing.loading import PreparedImage
from glyphseek.ports import Model
from glyphseek.types import ImageFeatures

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedBatch:
    """Of `size` images that the model was given, those that it could read and their features; from when to when."""

    size: int
    images: Sequence[PreparedImage]
    features: Sequence[ImageFeatures]
    begun_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEncoder:
    """Gives batches to the model. May be used from several threads, as the model may."""

    model: Model
    ledger: Ledger
    clock: Callable[[], float]

    def encode(self, batch: Sequence[PreparedImage]) -> EncodedBatch:
        """Return the images that the model could read; after a failure one by one, noting in the ledger what failed."""
        begun_s = self.clock()
        images = batch
        try:
            features = self.model.encode_images([image.pixels for image in batch])
        except Exception:  # noqa: BLE001 - one odd picture must not stop a run, whatever the model raises
            _LOG.exception("batch_not_encoded images=%d", len(batch))
            images, features = self._encode_one_by_one(batch)
        return EncodedBatch(size=len(batch), images=images, features=features, begun_s=begun_s, ended_s=self.clock())

    def _encode_one_by_one(self, batch: Sequence[PreparedImage]) -> tuple[list[PreparedImage], list[ImageFeatures]]:
        images: list[PreparedImage] = []
        features: list[ImageFeatures] = []
        for image in batch:
            try:
                features += self.model.encode_images([image.pixels])
                images.append(image)
            except Exception as error:  # noqa: BLE001 - as above; the log has it, the report will
                self.ledger.reject(image.record.content_hash, error)
        return images, features


def calls_at_once(batch_images: int) -> int:
    """Return how many batches the model is given at once: one is always waiting when another ends.

    A model on a CPU encodes photos side by side, at most one on every core; elsewhere the others wait inside it.
    """
    return 1 + -(-(os.cpu_count() or 1) // batch_images)
