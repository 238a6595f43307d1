"""A process that indexes a folder with a slow little model, made to be killed: see test_index_killed.py.

Usage: index_worker.py PHOTOS GALLERY LOG SECONDS_PER_OPERATION KIND_OF_STORE MAX_FILE_BYTES
Every photo that goes into the model is one line of LOG, written before the features are returned. A
file that would grow over MAX_FILE_BYTES, unless that is 0, fails to be written.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from end_to_end.stores import SlowFeatures, SlowVectors, StoreKind, open_features, open_vectors
from indexing.gallery_fakes import FakeModel

from glyphseek.indexing import Indexer, IndexSettings
from glyphseek.types import ImageFeatures, RgbImage


class LoggingModel(FakeModel):
    """Writes the hash of each photo to a file, and takes its time."""

    def __init__(self, log: Path, seconds: float) -> None:
        super().__init__()
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seconds = seconds

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        time.sleep(self._seconds * len(images))
        features = super().encode_images(images)
        digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        os.write(self._log, "".join(f"{digest}\n" for digest in digests).encode())
        return features


def main(photos: Path, gallery: Path, log: Path, seconds: float, kind: StoreKind) -> int:
    """Index once; return 0 when the run is complete, 3 when it ended early."""
    with closing(open_vectors(gallery, kind)) as vectors:
        indexer = Indexer(
            LoggingModel(log, seconds),
            SlowVectors(vectors, seconds),
            SlowFeatures(open_features(gallery), seconds),
            IndexSettings(batch_images=2, commit_images=6, commit_s=0.05),
            gallery=gallery,
        )
        report = indexer.run(photos)
    print(report.outcome.value, report.added, report.message)
    return 0 if report.outcome.value == "complete" else 3


if __name__ == "__main__":
    # A shell's background jobs, and what they start, ignore it otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    photos, gallery, log = (Path(argument) for argument in sys.argv[1:4])
    if max_file_bytes := int(sys.argv[6]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    sys.exit(main(photos, gallery, log, float(sys.argv[4]), "milvus" if sys.argv[5] == "milvus" else "sqlite"))
