"""Measure the Milvus Lite store: rows written a second, opening, latency and recall of searches, rows removed a second.

Vectors are clustered as words are: few words fill many rows, most fill one. Recall is against the plain definition.

    python load_tests/vectors_recall_latency.py FOLDER --rows 100000 --width 768
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from glyphseek.types import Calibration, FeatureKind, FloatArray, ImageRecord, ModelCard
from glyphseek.vectors.milvus import MilvusLiteStore

ROWS_PER_IMAGE = 10
IMAGES_PER_PUT = 100


def make_clustered_units(rng: np.random.Generator, rows: int, width: int) -> FloatArray:
    """Return (rows, width) unit vectors around 4,000 centres whose sizes fall as 1 / rank."""
    centres = rng.standard_normal((4000, width), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    shares = 1 / np.arange(1, len(centres) + 1)
    chosen = rng.choice(len(centres), rows, p=shares / shares.sum())
    vectors = centres[chosen] + rng.standard_normal((rows, width), dtype=np.float32) * np.float32(0.8 / width**0.5)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_card(width: int) -> ModelCard:
    """Return the card of a model that has nothing but instance vectors."""
    return ModelCard(
        name="measured",
        method="tdsl",
        fingerprint="0" * 32,
        vector_width=width,
        features=frozenset({FeatureKind.INSTANCES}),
        alphabet="a",
        max_query_characters=1,
        understands_meaning=False,
        calibration=Calibration(slope=1, offset=0, threshold=0.5),
    )


def make_record(number: int) -> ImageRecord:
    """Return a record like those of a real gallery: the id is a content hash."""
    content_hash = f"{number:064x}"
    names = (f"folder/photo-{number}.jpg",)
    return ImageRecord(
        image_id=content_hash,
        content_hash=content_hash,
        names=names,
        width=1280,
        height=960,
        instance_count=ROWS_PER_IMAGE,
    )


def fill(store: MilvusLiteStore, vectors: FloatArray) -> float:
    """Put all vectors, ten to an image, and return the seconds it took."""
    images = vectors.reshape(-1, ROWS_PER_IMAGE, vectors.shape[1])
    started = time.perf_counter()
    for start in range(0, len(images), IMAGES_PER_PUT):
        part = images[start : start + IMAGES_PER_PUT]
        store.put([make_record(start + place) for place in range(len(part))], list(part))
    return time.perf_counter() - started


def measure_ms(call: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Return the smallest, median and 99th percentile of the milliseconds a call takes."""
    taken: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return min(taken), float(np.median(taken)), float(np.percentile(taken, 99))


def measure_recall(store: MilvusLiteStore, vectors: FloatArray, queries: FloatArray, limit: int) -> float:
    """Return the share of the true `limit` nearest rows that a search finds."""
    found = [
        {int(hit.image_id, 16) * ROWS_PER_IMAGE + (hit.instance or 0) for hit in hits}
        for hits in store.search(queries, limit)
    ]
    nearest = np.argpartition(-(queries @ vectors.T), limit, axis=1)[:, :limit]
    return float(np.mean([len(set(map(int, true)) & rows) / limit for true, rows in zip(nearest, found, strict=True)]))


def main() -> None:
    """Fill a store in the given folder and print what was measured, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=20)
    settings = parser.parse_args()
    settings.folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    vectors = make_clustered_units(rng, settings.rows + 64, settings.width)
    vectors, queries = vectors[:-64], vectors[-64:]
    store = MilvusLiteStore.open(settings.folder, card=make_card(settings.width))
    print(f"put {settings.rows / fill(store, vectors):.0f} rows/s")
    store.close()
    started = time.perf_counter()
    store = MilvusLiteStore.open(settings.folder, card=make_card(settings.width))
    print(f"open {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    store.search(queries[:1], 1)
    print(f"first search {time.perf_counter() - started:.2f} s")
    for count in (1, 2, 4, 8):
        for limit in (300, 500):
            least, median, slow = measure_ms(lambda c=count, n=limit: store.search(queries[:c], n), settings.repeats)
            print(f"search {count} x {limit}: min {least:.1f} p50 {median:.1f} p99 {slow:.1f} ms")
    print(f"recall@100 {measure_recall(store, vectors, queries, 100):.4f}")
    started = time.perf_counter()
    store.delete([make_record(number).image_id for number in range(100)])
    print(f"delete 100 images {time.perf_counter() - started:.2f} s")
    store.close()


if __name__ == "__main__":
    main()
