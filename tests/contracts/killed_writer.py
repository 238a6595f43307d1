"""A process that writes to a store, telling each step before and after it, until it is killed.

Lines are `begin|done put|delete STEP NUMBER...`. What an image holds follows from its number and the step of its put.
"""

from __future__ import annotations

import random
import sys
from itertools import count
from pathlib import Path

import numpy as np
from contracts.stores import make_card

from glyphseek.types import FloatArray, ImageRecord
from glyphseek.vectors.milvus import MilvusLiteStore

CARD = make_card(width=16)
IMAGES = 40
STEPS_PER_ROUND = 100_000


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
    rng = np.random.default_rng([int(record.image_id), int(record.content_hash)])
    vectors = rng.standard_normal((record.instance_count, CARD.vector_width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_until_killed(folder: Path, round_number: int) -> None:
    rng = random.Random(round_number)
    store = MilvusLiteStore.open(folder, card=CARD)
    for step in count(round_number * STEPS_PER_ROUND):
        numbers = rng.sample(range(IMAGES), rng.randint(1, 12))
        kind = "delete" if rng.random() < 0.3 else "put"
        line = f"{kind} {step} {' '.join(map(str, numbers))}"
        print(f"begin {line}", flush=True)
        if kind == "put":
            records = [make_written_record(number, step) for number in numbers]
            store.put(records, [make_written_vectors(record) for record in records])
        else:
            store.delete([f"{number:03}" for number in numbers])
        print(f"done {line}", flush=True)


if __name__ == "__main__":
    write_until_killed(Path(sys.argv[1]), int(sys.argv[2]))
