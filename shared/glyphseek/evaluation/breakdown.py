"""Where a method is weak: the words of a query list by their length, and by the height at which they are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, alphanumeric_words, spelled_words, text_height

LENGTH_BUCKETS = ((1, 3), (4, 5), (6, 7), (8, 10), (11, None))
"""Characters of a query, both bounds included."""

HEIGHT_BUCKETS = ((0.0, 16.0), (16.0, 24.0), (24.0, 48.0), (48.0, None))
"""Pixels of the tallest place where an image carries the word; the lower bound is included, the upper is not."""

SMALL_TEXT_PX = 24.0
"""Text lower than this is reported apart: the buckets under it as one."""

Heights = Mapping[str, Mapping[str, float]]
"""Height in pixels by word, then by image name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The mean average precision of some queries in percent; None when there are none."""

    label: str
    queries: int
    map_percent: float | None


def word_heights(benchmark: Benchmark, longer_side: int | None) -> Heights:
    """Return how tall each annotated word stands in each image once the image is shrunk to `longer_side` pixels.

    Smaller images, and all images when it is None, keep their size. A word written more than once counts with its
    tallest place. Items without polygon, and images of unknown size when a size is asked for, are left out.
    """
    heights: dict[str, dict[str, float]] = defaultdict(dict)
    for image in benchmark.images:
        scale = _scale(image, longer_side)
        if scale is None:
            continue
        for item in image.items:
            if item.polygon is None or not item.is_legible:
                continue
            height = text_height(item.polygon) * scale
            for word in {*alphanumeric_words(item.text), *spelled_words(item.text)}:
                heights[word][image.name] = max(height, heights[word].get(image.name, 0.0))
    return heights


def height_bucket(height: float) -> str:
    """Return the label of the bucket that `height` in pixels falls into."""
    low, high = next(bounds for bounds in HEIGHT_BUCKETS if bounds[1] is None or height < bounds[1])
    return _height_label(low, high)


def by_length(precisions: Mapping[str, float]) -> tuple[Bucket, ...]:
    """Return the buckets of query length; `precisions` holds the average precision [0, 1] of each query."""
    return tuple(
        _bucket(
            _length_label(low, high),
            [value for query, value in precisions.items() if low <= len(query) <= (high or len(query))],
        )
        for low, high in LENGTH_BUCKETS
    )


def by_height(precisions: Mapping[str, list[float]]) -> tuple[Bucket, ...]:
    """Return the buckets of text height; `precisions` holds by bucket label one value [0, 1] for each query in it."""
    labels = [_height_label(low, high) for low, high in HEIGHT_BUCKETS]
    return tuple(_bucket(label, precisions.get(label, [])) for label in labels)


def small_text(precisions: Mapping[str, float]) -> Bucket:
    """Return the bucket of text under `SMALL_TEXT_PX`; `precisions` has the queries of which an image carries some."""
    return _bucket(_height_label(0, SMALL_TEXT_PX), list(precisions.values()))


def _scale(image: BenchmarkImage, longer_side: int | None) -> float | None:
    if longer_side is None:
        return 1.0
    return None if image.size is None else min(1.0, longer_side / max(image.size))


def _bucket(label: str, values: list[float]) -> Bucket:
    mean = 100 * sum(values) / len(values) if values else None
    return Bucket(label=label, queries=len(values), map_percent=mean)


def _length_label(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else f"{low}-{high}"


def _height_label(low: float, high: float | None) -> str:
    if high is None:
        return f">={low:.0f}"
    return f"<{high:.0f}" if low == 0 else f"{low:.0f}-{high:.0f}"
