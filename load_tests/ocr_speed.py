"""Photos/s of a model beside those of the OCR engine, in one process on the same photos, in turn.

    python load_tests/ocr_speed.py PHOTOS [--model ID] [--photos 32] [--rounds 2]

Each round reads the same photos by both, all cores to each: the model encodes photos side by side, the engine has as
many threads as there are cores. Shrinking a photo is timed, decoding it is not. Needs the extra `ocr`. Exits with 1
when the model does not reach as many times the engine's photos/s, over all rounds, as `thresholds.toml` says.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from glyphseek.images import FoundFile, find_files, is_image_file, read_image
from glyphseek.models.loading import DEFAULT_MODEL, open_model
from glyphseek.models.ocr.reader import ENGINE, OcrReader
from glyphseek.types import RgbImage

LONGER_SIDE = 1024
"""Pixels at which the engine reads, as in `glyphseek eval --method ocr`."""
WARM_UP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Photos/s of both."""

    model: float
    engine: float


def main() -> int:
    """Measure, print a line for each round and the ratio, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="id or folder")
    parser.add_argument("--photos", type=int, default=32, help="photos of a round")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    files = [entry for entry in find_files(options.folder) if isinstance(entry, FoundFile)]
    photos = [read_image(file.path) for file in islice(filter(is_image_file, files), options.photos)]
    if not photos:
        parser.error(f"{options.folder} has no photo")
    rounds = measure(options.model, photos, options.rounds)
    least = tomllib.loads(Path(__file__).with_name("thresholds.toml").read_text())["ocr_speed"]["ratio"]
    ratio = ratio_of(rounds)
    print(f"model / {ENGINE} = {ratio:.2f}, threshold {least}; load average {os.getloadavg()[0]:.1f}")
    return 0 if ratio >= least else 1


def measure(name: str, photos: Sequence[RgbImage], rounds: int) -> list[Round]:
    """Return what each round measured, after a few photos to warm up; prints a line for each."""
    model, reader = open_model(name), OcrReader(longer_side=LONGER_SIDE, threads=os.cpu_count())

    def encode(images: Sequence[RgbImage]) -> None:
        model.encode_images([model.prepare(image) for image in images])

    def read(images: Sequence[RgbImage]) -> None:
        for image in images:
            reader.read(image)

    measured: list[Round] = []
    for work in (encode, read):
        work(photos[:WARM_UP])
    for _ in range(rounds):
        measured.append(Round(model=per_second(encode, photos), engine=per_second(read, photos)))
        one = measured[-1]
        print(
            f"{len(photos)} photos: {model.card.name} {one.model:.2f}/s, engine {one.engine:.2f}/s, "
            f"{one.model / one.engine:.2f} times",
            flush=True,
        )
    return measured


def per_second(work: Callable[[Sequence[RgbImage]], None], photos: Sequence[RgbImage]) -> float:
    """Return how many of the photos a second of work takes in."""
    begun_s = time.perf_counter()
    work(photos)
    return len(photos) / (time.perf_counter() - begun_s)


def ratio_of(rounds: Sequence[Round]) -> float:
    """Return how many times the engine's photos/s the model reaches, both summed over the rounds."""
    return sum(one.model for one in rounds) / sum(one.engine for one in rounds)


if __name__ == "__main__":
    sys.exit(main())
