"""Galleries with ground truth: this project's own layout, and the public sets as they are published."""

from __future__ import annotations

from pathlib import Path

from glyphseek.datasets.benchmarks import cocotext, ctw1500, icdar2015, iiit_str, mqtr, own, svt, totaltext
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import Benchmark

LAYOUTS: tuple[Layout, ...] = (
    own.LAYOUT,
    mqtr.LAYOUT,
    iiit_str.LAYOUT,
    cocotext.RETRIEVAL_LAYOUT,
    cocotext.ANNOTATION_LAYOUT,
    svt.LAYOUT,
    ctw1500.LAYOUT,
    totaltext.LAYOUT,
    icdar2015.LAYOUT,
)
"""Every layout that is known, in the order in which they are tried."""


def load_benchmarks(path: Path, *, split: Split = "test") -> tuple[Benchmark, ...]:
    """Return the galleries in a folder, whichever known layout it has; all but MQTR hold one.

    `split` chooses a part of the sets that publish two. Raises InputError naming what was looked for when no layout
    fits, and naming the file when one fits but is missing something or damaged.
    """
    if not path.is_dir():
        raise InputError(f"there is no folder {path}")
    for layout in LAYOUTS:
        if layout.matches(path):
            return layout.load(path, split)
    looked_for = "; ".join(f"{layout.name}: {layout.looks_for}" for layout in LAYOUTS)
    raise InputError(f"{path} is not a gallery with ground truth. Looked for {looked_for}")


def load_benchmark(path: Path, *, split: Split = "test") -> Benchmark:
    """Return the one gallery in a folder. Raises InputError like `load_benchmarks`, and when there are several."""
    found = load_benchmarks(path, split=split)
    if len(found) != 1:
        raise InputError(f"{path} holds {len(found)} galleries ({', '.join(b.name for b in found)}): name one of them")
    return found[0]


__all__ = ["LAYOUTS", "Layout", "Split", "load_benchmark", "load_benchmarks"]
