"""Blobs of candidates to features; what cannot be had is counted, never raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from glyphseek.errors import BlobDamaged, BlobForeign, StoreError
from glyphseek.ports import FeatureStore, blob_key
from glyphseek.search.result import Degradation
from glyphseek.tokens import unpack
from glyphseek.types import ImageFeatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Features by image id, without the images whose blob could not be used, and the reason for those or None."""

    features: dict[str, ImageFeatures]
    degraded: Degradation | None


def fetch_features(store: FeatureStore, image_ids: Sequence[str], fingerprint: str) -> Fetched:
    """Return the features of the images, in one call of the store.

    This is the place of a cache of decoded features: its keys are those of the blobs.
    """
    try:
        blobs = store.get([blob_key(fingerprint, image_id) for image_id in image_ids])
    except StoreError as error:
        reason = f"the feature store failed: {error}"
        return Fetched(features={}, degraded=Degradation(stage="match", reason=reason, coverage=0.0))
    features: dict[str, ImageFeatures] = {}
    faults: Counter[str] = Counter()
    for image_id, blob in zip(image_ids, blobs, strict=True):
        try:
            if blob is None:
                faults["missing"] += 1
            else:
                features[image_id] = unpack(blob, fingerprint=fingerprint)
        except BlobDamaged:
            faults["damaged"] += 1
        except BlobForeign:
            faults["of another model or version"] += 1
    return Fetched(features=features, degraded=_describe(faults, len(features), len(image_ids)))


def _describe(faults: Counter[str], usable: int, total: int) -> Degradation | None:
    if not faults:
        return None
    reason = "blobs: " + ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
    return Degradation(stage="match", reason=reason, coverage=usable / total)
