"""The picture of a report: mAP by word length and by text height, methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glyphseek.errors import InputError, StoreError
from glyphseek.evaluation.breakdown import Bucket
from glyphseek.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_breakdowns(path: Path, reports: Sequence[Report]) -> None:
    """Write a PNG with two bar charts, mAP by word length (left) and by text height (right), one colour a report.

    Buckets without queries have no bar; the number of queries stands over each bar. Raises InputError without
    reports, StoreError when the file cannot be written.
    """
    if not reports:
        raise InputError("a plot needs at least one report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    names = [f"{report.method} on {report.benchmark}, {report.query_list}" for report in reports]
    _draw_bars(left, [report.by_length for report in reports], names)
    _draw_bars(right, [report.by_height for report in reports], names)
    left.set(xlabel="characters of the query", ylabel="mAP (%)", ylim=(0, 105))
    right.set(xlabel=_height_axis(reports))
    left.legend(fontsize=7, loc="upper left")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.print_png(str(path))
    except OSError as cause:
        raise StoreError(f"the plot cannot be written to {path}: {cause}") from cause


def _height_axis(reports: Sequence[Report]) -> str:
    sides = sorted({"the file's own size" if r.longer_side is None else f"{r.longer_side} px" for r in reports})
    return f"text height in pixels (longer side at {' or '.join(sides)})"


def _draw_bars(axes: Axes, series: Sequence[Sequence[Bucket]], names: Sequence[str]) -> None:
    width = 0.8 / len(series)
    for number, (buckets, name) in enumerate(zip(series, names, strict=True)):
        places = np.arange(len(buckets)) + (number - (len(series) - 1) / 2) * width
        bars = axes.bar(places, [bucket.map_percent or 0.0 for bucket in buckets], width, label=name)
        counts = ["" if bucket.map_percent is None else str(bucket.queries) for bucket in buckets]
        axes.bar_label(bars, labels=counts, fontsize=6)
    axes.set_xticks(np.arange(len(series[0])), [bucket.label for bucket in series[0]])
    axes.grid(axis="y", alpha=0.3)
