"""A process that puts and deletes images on a Milvus server until its input ends; several may run at once.

Usage: writer.py URI GALLERY NUMBER_OF_THE_WRITER. It prints a line for every operation that was acknowledged.
"""

from __future__ import annotations

import random
import sys
from itertools import count

import numpy as np
from contracts.stores import make_card

from glyphseek.types import FloatArray, ImageRecord
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

CARD = make_card(width=16)
IMAGES = 12
STEPS = 1_000_000


def settings_of(uri: str) -> MilvusSettings:
    return MilvusSettings(uri=uri, index=IndexSettings(kind=IndexKind.FLAT), partitions=2)


def make_written_record(number: int, step: int) -> ImageRecord:
    return ImageRecord(
        image_id=f"{number:03}",
        content_hash=str(step),
        names=(f"{number}.jpg",),
        width=1,
        height=1,
        instance_count=(number + step) % 6,
    )


def make_written_vectors(record: ImageRecord) -> FloatArray:
    """Return vectors that no other image and step has."""
    rng = np.random.default_rng([int(record.image_id), int(record.content_hash)])
    vectors = rng.standard_normal((record.instance_count, CARD.vector_width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_until_killed(uri: str, gallery: str, writer: int) -> None:
    rng = random.Random(writer)
    store = MilvusStore.open(settings_of(uri), gallery=gallery, card=CARD)
    for step in count(writer * STEPS):
        numbers = rng.sample(range(IMAGES), rng.randint(1, 6))
        if rng.random() < 0.3:
            store.delete([f"{number:03}" for number in numbers])
        else:
            records = [make_written_record(number, step) for number in numbers]
            store.put(records, [make_written_vectors(record) for record in records])
        print(step, flush=True)


if __name__ == "__main__":
    write_until_killed(sys.argv[1], sys.argv[2], int(sys.argv[3]))
