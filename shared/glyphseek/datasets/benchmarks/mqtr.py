"""MQTR as published: folders word/, phrase/, combined/ and semantic/, each a gallery with text_queries.json."""

from __future__ import annotations

from pathlib import Path

from glyphseek.datasets.benchmarks.files import comparable, list_images, read_relevant
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, QueryList

GALLERIES = ("word", "phrase", "combined", "semantic")


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return a benchmark for each of the four galleries that is there, with the one list "all" as published.

    `root` may also be one of the four folders. There are no words or boxes; `split` has no meaning here. Raises
    InputError when queries are not as published or name a missing image.
    """
    folders = [root] if (root / "text_queries.json").is_file() else [root / n for n in GALLERIES if _is_one(root / n)]
    return tuple(_load_gallery(folder) for folder in folders)


LAYOUT = Layout(
    name="MQTR",
    looks_for="text_queries.json, here or in word/, phrase/, combined/ or semantic/",
    matches=lambda root: _is_one(root) or any(_is_one(root / name) for name in GALLERIES),
    load=load,
)


def _is_one(folder: Path) -> bool:
    return (folder / "text_queries.json").is_file()


def _load_gallery(folder: Path) -> Benchmark:
    images = tuple(BenchmarkImage(name=path.name, path=path) for path in list_images(folder / "images"))
    name = f"MQTR {folder.resolve().name}"
    every = comparable(
        QueryList(name="all", relevant=read_relevant(folder / "text_queries.json", images)), name, images
    )
    return Benchmark(name=name, images=images, query_lists=(every,))
