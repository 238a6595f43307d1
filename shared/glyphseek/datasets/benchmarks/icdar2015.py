"""ICDAR 2015 incidental scene text as published: gt_img_N.txt beside img_N.jpg or in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from glyphseek.datasets.benchmarks.files import comparable, pair_points, pick_folder, read_text, with_sizes
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, TextItem, all_words, most_frequent_words

TOP = 100


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return one split with the lists "all" and "top100" (by images, as MSTAR); images are ordered by number.

    Folders are found by what they hold; of several, the one named after `split` is taken. Raises InputError when
    that does not leave one, for an image without ground truth, and for a line that is not eight numbers and a text.
    """
    truths = pick_folder(root, "gt_img_*.txt", split)
    photos = pick_folder(root, "img_*.jpg", split)
    numbered = sorted(photos.glob("img_*.jpg"), key=lambda path: (len(path.stem), path.stem))
    images = with_sizes(_image(path, truths / f"gt_{path.stem}.txt") for path in numbered)
    top = comparable(most_frequent_words(images, TOP), "IC15", images)
    return (Benchmark(name=f"ICDAR 2015 {split}", images=images, query_lists=(all_words(images), top)),)


LAYOUT = Layout(
    name="ICDAR 2015",
    looks_for="gt_img_N.txt in this folder or below",
    matches=lambda root: any(root.rglob("gt_img_*.txt")),
    load=load,
)


def _image(path: Path, truth: Path) -> BenchmarkImage:
    if not truth.is_file():
        raise InputError(f"there is no ground truth {truth} for {path}")
    lines = [line for line in read_text(truth).splitlines() if line.strip()]
    return BenchmarkImage(name=path.name, path=path, items=tuple(_item(line, truth) for line in lines))


def _item(line: str, truth: Path) -> TextItem:
    """Return the item of `x1,y1,..,x4,y4,text`; the text may hold commas."""
    *numbers, text = line.split(",", 8)
    try:
        if len(numbers) != 8:
            raise ValueError("fewer than eight numbers")
        return TextItem(text=text.strip(), polygon=pair_points([float(number) for number in numbers]))
    except ValueError as cause:
        raise InputError(f"{truth} has the line {line!r}: {cause}") from cause
