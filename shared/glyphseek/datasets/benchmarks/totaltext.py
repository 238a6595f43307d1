"""Total-Text as published: Images/{Train,Test} and one ground-truth file an image, as text or as .mat."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from glyphseek.datasets.benchmarks.files import comparable, list_images, pair_points, read_mat, read_text, with_sizes
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import (
    Benchmark,
    BenchmarkImage,
    Polygon,
    TextItem,
    all_words,
    most_frequent_words,
    repeated_words,
)

TOP = 60

_TEXT_ITEM = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\].*?transcriptions:\s*(?P<text>\[.*?\])\s*(?=x:\s*\[\[|\Z)",
    re.DOTALL,
)


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return one split with the lists "all", "top60" (by images, as MSTAR) and "repeated" (as TDSL and CAYN).

    The ground truth of image X is the file poly_gt_X or gt_X (.txt before .mat) anywhere beside Images, in a folder
    that is named after the split when there are two of it. Raises InputError naming the image that has none.
    """
    found = _ground_truths(root, split)
    images = with_sizes(_image(path, found, root) for path in list_images(root / "Images" / split.capitalize()))
    lists = (
        all_words(images),
        comparable(most_frequent_words(images, TOP), "TTR (list B)", images),
        comparable(repeated_words(images), "TTR (list A)", images),
    )
    return (Benchmark(name=f"Total-Text {split}", images=images, query_lists=lists),)


LAYOUT = Layout(
    name="Total-Text",
    looks_for="Images/Test or Images/Train",
    matches=lambda root: any((root / "Images" / split).is_dir() for split in ("Test", "Train")),
    load=load,
)


def parse_text(text: str) -> tuple[TextItem, ...]:
    """Return the items of a text file: `x: [[..]], y: [[..]], ornt: [u'c'], transcriptions: [u'..']`, lines wrapped.

    Raises ValueError for text that holds something else.
    """
    items = tuple(
        TextItem(text=_transcription(found["text"]), polygon=_corners(found["x"].split(), found["y"].split()))
        for found in _TEXT_ITEM.finditer(text)
    )
    if len(items) != len(re.findall(r"x:\s*\[\[", text)) or (text.strip() and not items):
        raise ValueError(f"{len(items)} words could be read")
    return items


def parse_mat(path: Path) -> tuple[TextItem, ...]:
    """Return the items of a .mat file: rows of 'x:', xs, 'y:', ys, transcription, orientation.

    Raises InputError naming the file when it holds no such table.
    """
    content = read_mat(path)
    table = content.get("polygt", content.get("gt"))
    if table is None:
        raise InputError(f"{path} holds neither 'polygt' nor 'gt'")
    return tuple(
        TextItem(text=str(row[4].ravel()[0]) if row[4].size else "#", polygon=_corners(row[1].ravel(), row[3].ravel()))
        for row in table
    )


def _ground_truths(root: Path, split: Split) -> dict[str, list[Path]]:
    """Return the ground-truth files by name of the image, those of the other split left out."""
    other = "train" if split == "test" else "test"
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*gt_*")):
        name = re.fullmatch(r"(?:poly_)?gt_(.+)\.(txt|mat)", path.name)
        if name and other not in str(path.relative_to(root).parent).lower():
            found.setdefault(name.group(1), []).append(path)
    return found


def _image(path: Path, found: dict[str, list[Path]], root: Path) -> BenchmarkImage:
    candidates = found.get(path.stem)
    if candidates is None:
        raise InputError(f"{root} has no poly_gt_{path.stem}.txt, poly_gt_{path.stem}.mat or gt_{path.stem} for {path}")
    source = min(candidates, key=lambda candidate: candidate.suffix != ".txt")
    try:
        items = parse_text(read_text(source)) if source.suffix == ".txt" else parse_mat(source)
    except (ValueError, SyntaxError, IndexError) as cause:
        raise InputError(f"{source} is not a ground truth of Total-Text: {cause}") from cause
    return BenchmarkImage(name=path.name, path=path, items=items)


def _transcription(literal: str) -> str:
    texts: list[str] = ast.literal_eval(literal)
    return texts[0] if texts else "#"


def _corners(xs: list[str], ys: list[str]) -> Polygon:
    return pair_points([float(value) for pair in zip(xs, ys, strict=True) for value in pair])
