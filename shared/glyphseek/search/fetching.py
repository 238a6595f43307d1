"""Blobs of candidates to features; what cannot be had is counted, never raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from glyphseek.errors import BlobError, BlobMissing, StoreError
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.reranking import list_faults, name_fault
from glyphseek.search.result import Degradation
from glyphseek.tokens import unpack_vectors
from glyphseek.types import ImageFeatures


class Fetcher:
    """Reads the blobs of one search and remembers what was wrong with them.

    This is the place of a cache of decoded features: its keys are those of the blobs.
    """

    def __init__(self, store: FeatureStore, fingerprint: str) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._asked = 0
        self._usable = 0
        self._faults: Counter[str] = Counter()

    def fetch(self, image_ids: Sequence[str]) -> dict[str, ImageFeatures]:
        """Return the features of the images whose blob is sound and of this model, in one call of the store."""
        self._asked += len(image_ids)
        try:
            blobs = self._store.get([blob_key(self._fingerprint, image_id) for image_id in image_ids])
        except StoreError as error:
            self._faults[name_fault(error)] += len(image_ids)
            return {}
        features: dict[str, ImageFeatures] = {}
        for image_id, blob in zip(image_ids, blobs, strict=True):
            if (found := self._decode(blob)) is not None:
                features[image_id] = found
        self._usable += len(features)
        return features

    def degradations(self) -> tuple[Degradation, ...]:
        """Return what the matching of this search went without: nothing, or one entry with every fault counted."""
        if not self._faults:
            return ()
        coverage = self._usable / self._asked
        return (Degradation(stage="match", reason=list_faults(self._faults), coverage=coverage),)

    def _decode(self, blob: bytes | None) -> ImageFeatures | None:
        try:
            if blob is None:
                raise BlobMissing("the image has a row but no blob")
            return unpack_vectors(blob, fingerprint=self._fingerprint)
        except BlobError as error:
            self._faults[name_fault(error)] += 1
        return None
