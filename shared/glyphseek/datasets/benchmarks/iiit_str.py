"""IIIT Scene Text Retrieval as published: imgDatabase/ and data.mat with 50 queries and the images of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glyphseek.datasets.benchmarks.files import check_names, comparable, list_images, read_mat
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, QueryList


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return the gallery with the one list "all": the queries of data.mat, lower case. There are no words or boxes.

    `split` has no meaning here. Raises InputError when data.mat is not as published or names a missing image.
    """
    source = root / "data.mat"
    images = tuple(BenchmarkImage(name=path.name, path=path) for path in list_images(root / "imgDatabase"))
    relevant = _queries(source)
    check_names(images, frozenset[str]().union(*relevant.values()), source)
    every = comparable(QueryList(name="all", relevant=relevant), "IIIT-STR", images)
    return (Benchmark(name="IIIT-STR", images=images, query_lists=(every,)),)


LAYOUT = Layout(
    name="IIIT-STR",
    looks_for="data.mat and imgDatabase/",
    matches=lambda root: (root / "data.mat").is_file() and (root / "imgDatabase").is_dir(),
    load=load,
)


def _queries(source: Path) -> dict[str, frozenset[str]]:
    try:
        cells = read_mat(source)["data"].ravel()
        return {_strings(cell[0])[0].lower(): frozenset(_strings(cell[1])) for cell in cells}
    except (KeyError, IndexError, TypeError) as cause:
        raise InputError(
            f"{source} does not hold 'data' with a query and its images in each cell: {cause!r}"
        ) from cause


def _strings(value: Any) -> list[str]:  # noqa: ANN401 - nested cells of unknown depth
    """Return all strings in nested cells, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, np.ndarray):
        return [text for part in value.ravel().tolist() for text in _strings(part)]
    return [text for part in value for text in _strings(part)] if isinstance(value, np.void | tuple) else []
