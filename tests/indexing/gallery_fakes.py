"""A small deterministic model and stores in memory that can be told to fail."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from glyphseek.errors import StoreFull
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.filters import Filter
from glyphseek.indexing import Indexer, IndexSettings
from glyphseek.queries import Term
from glyphseek.types import (
    Calibration,
    FeatureKind,
    FloatArray,
    ImageFeatures,
    ImageRecord,
    Instances,
    ModelCard,
    RgbImage,
    RowHits,
    TermFeatures,
)

WIDTH = 8
FINGERPRINT = "0123456789abcdef" * 2


def card(fingerprint: str = FINGERPRINT) -> ModelCard:
    return ModelCard(
        name="fake",
        method="fake",
        fingerprint=fingerprint,
        vector_width=WIDTH,
        features=frozenset({FeatureKind.INSTANCES}),
        alphabet="abc",
        max_query_characters=20,
        understands_meaning=False,
        calibration=Calibration(slope=1.0, offset=0.0, threshold=0.5),
    )


def features_of(pixels: RgbImage) -> ImageFeatures:
    """Return 0 to 3 instances that depend on nothing but the pixels."""
    digest = hashlib.sha256(pixels.tobytes()).digest()
    random = np.random.default_rng(list(digest))
    count = digest[0] % 4
    vectors = random.standard_normal((count, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    corners = np.sort(random.random((count, 2, 2)).astype(np.float32), axis=1)
    scores = np.sort(random.random(count).astype(np.float32))[::-1].copy()
    return ImageFeatures(instances=Instances(vectors_ND=vectors, boxes_N4=corners.reshape(count, 4), scores_N=scores))


@dataclass
class FakeModel:
    """Counts what it encodes; `before_encode` may wait, fail or kill."""

    card: ModelCard = field(default_factory=card)
    encoded: list[str] = field(default_factory=list[str])
    before_encode: Callable[[Sequence[RgbImage]], None] = lambda images: None
    before_prepare: Callable[[RgbImage], None] = lambda image: None

    def prepare(self, image: RgbImage) -> RgbImage:
        self.before_prepare(image)
        return np.ascontiguousarray(image[:64, :64])

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        self.before_encode(images)
        self.encoded += [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        return [features_of(image) for image in images]

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        raise NotImplementedError


class FakeVectors:
    """Rows in memory, and a journal of what was done in which order."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal: list[str] = [] if journal is None else journal
        self.records: dict[str, ImageRecord] = {}
        self.vectors: dict[str, FloatArray] = {}
        self.puts = 0

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        self.puts += 1
        for record, array in zip(records, vectors, strict=True):
            self.journal.append(f"row {record.image_id}")
            self.records[record.image_id] = record
            self.vectors[record.image_id] = array

    def search(self, vectors_QD: FloatArray, limit: int, *, where: Filter | None = None) -> list[RowHits]:
        raise NotImplementedError

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        return {image_id: self.records[image_id] for image_id in image_ids if image_id in self.records}

    def scan(self, *, after: str = "") -> Iterator[ImageRecord]:
        yield from [self.records[image_id] for image_id in sorted(self.records) if image_id > after]

    def delete(self, image_ids: Sequence[str]) -> None:
        for image_id in image_ids:
            self.journal.append(f"delete row {image_id}")
            self.records.pop(image_id, None)
            self.vectors.pop(image_id, None)

    def close(self) -> None:
        return


class FakeFeatures(MemoryFeatureStore):
    """Blobs in memory; holds at most `capacity` of them and keeps a journal."""

    def __init__(self, journal: list[str] | None = None, capacity: int | None = None) -> None:
        super().__init__()
        self.journal: list[str] = [] if journal is None else journal
        self.capacity = capacity
        self._lock = threading.Lock()

    def put(self, key: str, blob: bytes) -> None:
        with self._lock:
            if self.capacity is not None and len(list(self.scan())) >= self.capacity:
                raise StoreFull(f"no space left for {key}")
            super().put(key, blob)
            self.journal.append(f"blob {key.rpartition('/')[2]}")

    def delete(self, keys: Sequence[str]) -> None:
        self.journal += [f"delete blob {key.rpartition('/')[2]}" for key in keys]
        super().delete(keys)

    def content(self) -> dict[str, bytes]:
        keys = list(self.scan())
        return {key: blob for key, blob in zip(keys, self.get(keys), strict=True) if blob is not None}


@dataclass
class Gallery:
    """A folder of photos, a gallery beside it, and everything an Indexer needs."""

    root: Path
    model: FakeModel = field(default_factory=FakeModel)
    journal: list[str] = field(default_factory=list[str])
    vectors: FakeVectors = field(init=False)
    features: FakeFeatures = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = FakeVectors(self.journal)
        self.features = FakeFeatures(self.journal)
        self.photos.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    @property
    def folder(self) -> Path:
        return self.root / "gallery"

    def indexer(self, settings: IndexSettings | None = None) -> Indexer:
        return Indexer(self.model, self.vectors, self.features, settings or IndexSettings(), gallery=self.folder)

    def names(self) -> set[tuple[str, ...]]:
        return {record.names for record in self.vectors.records.values()}


def photo_bytes(seed: int, *, size: tuple[int, int] = (48, 32), image_format: str = "PNG") -> bytes:
    """Return the file of a photo of noise; another seed gives another content."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, image_format)
    return buffer.getvalue()


def write_photos(folder: Path, count: int, *, first: int = 0) -> list[Path]:
    """Write photos `0000.png` and on, each of its own content."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        path.write_bytes(photo_bytes(number))
    return paths
