"""Images/s of indexing beside those of the bare model forward, in one process on the same photos.

    python load_tests/index_throughput.py PHOTOS [--model ID] [--images 64] [--rounds 2] [--batch 4]

Each round times the forward alone over photos that are already prepared, in the batches that the index uses, then
indexes the same files into a fresh gallery in the real stores. Exits with 1 when the index reaches less than the share
in `thresholds.toml` of the forward.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import tomllib
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
    """Images/s of both, and the index's own report."""

    forward: float
    index: float
    report: IndexReport


def main() -> int:
    """Print the table; return 1 when the threshold is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--images", type=int, default=64)
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
    share = sum(each.index for each in rounds) / sum(each.forward for each in rounds)
    print(f"index / forward = {share:.3f}, threshold {least}")
    return 0 if share >= least else 1


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
        time_forward(model, photos[: settings.batch_images], settings.batch_images)
        for number in range(rounds):
            forward = time_forward(model, photos, settings.batch_images)
            report = index(model, copies, Path(name) / f"gallery{number}", settings)
            measured.append(Round(forward=forward, index=report.images_per_second, report=report))
            print(
                f"{len(photos)} images: forward {forward:.3f}/s, index {report.images_per_second:.3f}/s, "
                f"model at work {report.encoder_busy_fraction:.1%} of the run"
            )
    return measured


def time_forward(model: Model, photos: list[Path], batch: int) -> float:
    """Return images/s of the model over prepared photos."""
    prepared = [model.prepare(read_image(path)) for path in photos]
    begun_s = time.perf_counter()
    for start in range(0, len(prepared), batch):
        model.encode_images(prepared[start : start + batch])
    return len(prepared) / (time.perf_counter() - begun_s)


def index(model: Model, photos: Path, gallery: Path, settings: IndexSettings) -> IndexReport:
    """Index into a fresh gallery; opening the stores is not part of the run, as loading the model is not."""
    gallery.mkdir()
    with closing(MilvusLiteStore.open(gallery / "vectors", card=model.card)) as vectors:
        features = DirectoryFeatureStore(gallery / "features")
        return Indexer(model, vectors, features, settings, gallery=gallery).run(photos)


if __name__ == "__main__":
    sys.exit(main())
