"""Photos and crops of words that one core renders a second, as `glyphseek render` and training ask for them.

    python load_tests/render_speed.py [--photos 200] [--crops 2000] [--seed 1] [--backgrounds FOLDER]

One process, one thread. Rates are pictures over seconds of processor time, so that other work on the machine counts
less (it still slows what shares its caches), with the wall beside them. `rendered` is what training does with photos of
a longer side of 640 px, `written` is the gallery of them on disk, encoded, and `crops` are the words that reading is
learned from. All fonts of this machine are used, and many fonts cost more than few. Exits with 1 when `written` or
`crops` misses `thresholds.toml`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.datasets.scenes.gallery import SHAPES, render_photo, write_gallery
from glyphseek.datasets.scenes.scenes import SceneRenderer
from glyphseek.training.rendering import open_scene_renderer

WARM_UP = 20
"""Photos, and as many crops, before the clock starts, that load fonts and tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Pictures a second of processor time, and of the wall."""

    processor: float
    wall: float


def main() -> int:
    """Print the rates; return 1 when the threshold is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--crops", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backgrounds", type=Path, help="folder of photos to draw on; procedural without")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    renderer = open_scene_renderer(options.backgrounds)
    for index in range(WARM_UP):
        render_photo(renderer, options.seed + 1, index)
    rates = measure(renderer, photos=options.photos, seed=options.seed)
    print(f"{options.photos} photos of {longest_sides()} px, {len(renderer.fonts.faces)} font faces, one thread")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, rate in rates.items():
        print(f"{name:<10}{rate.processor:8.1f} photos/s of processor time {rate.wall:8.1f} by the wall")
    crops = measure_crops(renderer, crops=options.crops, seed=options.seed)
    print(f"{'crops':<10}{crops.processor:8.1f} crops/s of processor time {crops.wall:8.1f} by the wall")
    least = tomllib.loads(Path(__file__).with_name("thresholds.toml").read_text())["render_speed"]
    judged = [
        ("written", rates["written"].processor, least["photos_per_s"], "photos/s"),
        ("crops", crops.processor, least["crops_per_s"], "crops/s"),
    ]
    for name, rate, bound, unit in judged:
        print(f"{name} {'misses' if rate < bound else 'is within'} {bound} {unit} a core")
    return 1 if any(rate < bound for _, rate, bound, _ in judged) else 0


def longest_sides() -> str:
    """Return the longer sides of rendered photos, in words."""
    return ", ".join(str(side) for side in sorted({max(shape) for shape in SHAPES}))


def measure(renderer: SceneRenderer, *, photos: int, seed: int) -> dict[str, Rate]:
    """Return the rate of rendering the photos of a gallery, and of writing it."""

    def render() -> None:
        for index in range(photos):
            render_photo(renderer, seed, index)

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for _ in write_gallery(Path(folder) / "gallery", photos, seed, renderer):
                pass

    return {"rendered": clock(render, photos), "written": clock(write, photos)}


def measure_crops(renderer: SceneRenderer, *, crops: int, seed: int) -> Rate:
    """Return the rate of rendering crops of words with the fonts, words and backgrounds of `renderer`."""
    crop_renderer = CropRenderer(fonts=renderer.fonts, words=renderer.words, backgrounds=renderer.backgrounds)

    def see(count: int, rng: np.random.Generator) -> None:
        for _ in range(count):
            crop_renderer.render(rng)

    see(WARM_UP, np.random.default_rng(seed + 1))
    return clock(lambda: see(crops, np.random.default_rng(seed)), crops)


def clock(work: Callable[[], None], pictures: int) -> Rate:
    """Return how many pictures a second `work` makes, once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Rate(
        processor=pictures / (time.process_time() - processor),
        wall=pictures / (time.perf_counter() - wall),
    )


if __name__ == "__main__":
    sys.exit(main())
