"""The picture of what `recall.py` measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from recall import SizeFigures

AGREEMENT_CUT = 100


def plot_recall(path: Path, title: str, figures: list[SizeFigures]) -> None:
    """Draw recall@K of exhaustive search against ground truth, and of each index against exhaustive search, by size."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    images = [one.images for one in figures]
    for cut in figures[0].exhaustive_recall:
        left.plot(images, [one.exhaustive_recall[cut] for one in figures], marker="o", label=f"recall@{cut}")
    left.set(xscale="log", ylim=(0, 1.02), xlabel="photos", ylabel="recall, exhaustive search against ground truth")
    names = dict.fromkeys(_family(found.index) for one in figures for found in one.indexes)
    for name in names:
        points = [
            (one.rows, found.agreement[AGREEMENT_CUT])
            for one in figures
            for found in one.indexes
            if _family(found.index) == name
        ]
        right.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    right.set(
        xscale="log", ylim=(0, 1.02), xlabel="vectors", ylabel=f"photos of exhaustive search found @{AGREEMENT_CUT}"
    )
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False)
    figure.savefig(path, dpi=120)


def _family(index: str) -> str:
    """Return the name of an index without the number of its lists, which grows with the gallery."""
    return re.sub("^IVF[0-9]+", "IVF", index)
