"""Images/s of indexing beside those of the bare model forward, in one process on the same photos.

    python load_tests/index_throughput.py PHOTOS [--model ID] [--images 256] [--rounds 2] [--batch 4]

Each round times the forward alone over photos that are already prepared, all in one call (which is fastest: on a CPU
as many are encoded side by side as torch has threads), then indexes the same files into a fresh gallery in the real
stores. Processor time is that of this process; what Milvus Lite takes, a process of its own, is not in it. Exits with 1
when the index reaches less than the share in `thresholds.toml` of the forward.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.images import FoundFile, find_files, is_image_file, read_image
from glyphseek.indexing import Indexer, IndexReport, IndexSettings
from glyphseek.models.loading import DEFAULT_MODEL, open_model
from glyphseek.ports import Model
from glyphseek.vectors.milvus import MilvusLiteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Images/s and seconds of processor time an image of both."""

    forward: float
    forward_cpu_s: float
    index: float
    index_cpu_s: float


def main() -> int:
    """Print the table; return 1 when the threshold is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    arguments = parser.parse_args()
    rounds = measure(
        open_model(arguments.model),
        arguments.photos,
        images=arguments.images,
        rounds=arguments.rounds,
        settings=IndexSettings(batch_images=arguments.batch),
    )
    least = tomllib.loads(Path(__file__).with_name("thresholds.toml").read_text())["index_throughput"]["share"]
    share = share_of_forward(rounds)
    print(f"index / forward = {share:.3f}, threshold {least}; load average {os.getloadavg()[0]:.1f}")
    return 0 if share >= least else 1


def share_of_forward(rounds: Sequence[Round]) -> float:
    """Return the images/s of indexing as a share of the forward's, both summed over the rounds."""
    return sum(each.index for each in rounds) / sum(each.forward for each in rounds)


def measure(model: Model, folder: Path, *, images: int, rounds: int, settings: IndexSettings) -> list[Round]:
    """Return what each round measured, after a forward to warm up; prints a line for each."""
    files = [entry for entry in find_files(folder) if isinstance(entry, FoundFile)]
    photos = [file.path for file in islice(filter(is_image_file, files), images)]
    measured: list[Round] = []
    with tempfile.TemporaryDirectory() as name:
        copies = Path(name) / "photos"
        copies.mkdir()
        for number, path in enumerate(photos):
            shutil.copy(path, copies / f"{number:05d}{path.suffix}")
        time_forward(model, photos[: 2 * settings.batch_images])
        for number in range(rounds):
            forward, forward_cpu_s = time_forward(model, photos)
            cpu_s = time.process_time()
            report = index(model, copies, Path(name) / f"gallery{number}", settings)
            index_cpu_s = (time.process_time() - cpu_s) / len(photos)
            measured.append(
                Round(
                    forward=forward,
                    forward_cpu_s=forward_cpu_s,
                    index=report.images_per_second,
                    index_cpu_s=index_cpu_s,
                )
            )
            print(
                f"{len(photos)} images: forward {forward:.3f}/s ({forward_cpu_s:.3f} CPU s an image), "
                f"index {report.images_per_second:.3f}/s ({index_cpu_s:.3f}), "
                f"model at work {report.encoder_busy_fraction:.1%} of the run",
                flush=True,
            )
    return measured


def time_forward(model: Model, photos: list[Path]) -> tuple[float, float]:
    """Return images/s of the model over prepared photos, and seconds of processor time an image."""
    prepared = [model.prepare(read_image(path)) for path in photos]
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    model.encode_images(prepared)
    seconds, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
    return len(prepared) / seconds, cpu_s / len(prepared)


def index(model: Model, photos: Path, gallery: Path, settings: IndexSettings) -> IndexReport:
    """Index into a fresh gallery; opening the stores is not part of the run, as loading the model is not."""
    gallery.mkdir()
    with closing(MilvusLiteStore.open(gallery / "vectors", card=model.card)) as vectors:
        features = DirectoryFeatureStore(gallery / "features")
        return Indexer(model, vectors, features, settings, gallery=gallery).run(photos)


if __name__ == "__main__":
    sys.exit(main())
