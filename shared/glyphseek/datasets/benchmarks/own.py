"""This project's own layout: images/, gallery.jsonl, boxes.jsonl, queries.txt, qrels.json, qrels_topN.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypedDict

from glyphseek.datasets.benchmarks.files import read_json_lines, read_relevant, with_sizes
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import (
    Benchmark,
    BenchmarkImage,
    QueryList,
    TextItem,
    all_words,
    most_frequent_words,
)

DEFAULT_TOP = 100


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return the gallery with the lists "all" (qrels.json) and "topN" (qrels_topN.json).

    A list without file is computed: all alphanumeric words of three or more characters, the 100 most frequent words.
    Words come with polygons when boxes.jsonl is there. `split` has no meaning here. Raises InputError naming what is
    damaged.
    """
    images = with_sizes(_images(root))
    every = _read_list(root / "qrels.json", "all", images)
    fixed = [
        _read_list(path, f"top{_count(path)}", images) for path in sorted(root.glob("qrels_top*.json"), key=_count)
    ]
    lists = (every or all_words(images), *([top for top in fixed if top] or [most_frequent_words(images, DEFAULT_TOP)]))
    return (Benchmark(name=root.resolve().name, images=images, query_lists=lists),)


LAYOUT = Layout(
    name="Glyphseek",
    looks_for="gallery.jsonl",
    matches=lambda root: (root / "gallery.jsonl").is_file(),
    load=load,
)


class _Row(TypedDict):
    image: str
    words: list[str]


class _Box(TypedDict):
    t: str
    poly: list[tuple[float, float]]


def _images(root: Path) -> list[BenchmarkImage]:
    boxes = root / "boxes.jsonl"
    try:
        items = {row["image"]: _boxed(row["items"]) for row in read_json_lines(boxes)} if boxes.is_file() else {}
        rows: list[_Row] = read_json_lines(root / "gallery.jsonl")
        return [
            BenchmarkImage(
                name=row["image"],
                path=root / row["image"],
                items=items.get(row["image"]) or tuple(TextItem(text=word) for word in row["words"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as cause:
        raise InputError(f"a line of gallery.jsonl or boxes.jsonl in {root} is not as expected: {cause!r}") from cause


def _boxed(items: list[_Box]) -> tuple[TextItem, ...]:
    return tuple(
        TextItem(text=item["t"], polygon=tuple((float(x), float(y)) for x, y in item["poly"])) for item in items
    )


def _read_list(path: Path, name: str, images: tuple[BenchmarkImage, ...]) -> QueryList | None:
    if not path.is_file():
        return None
    return QueryList(name=name, relevant=read_relevant(path, images))


def _count(path: Path) -> int:
    found = re.fullmatch(r"qrels_top(\d+)", path.stem)
    if found is None:
        raise InputError(f"{path} should be named qrels_topN.json, with N the number of queries")
    return int(found.group(1))
