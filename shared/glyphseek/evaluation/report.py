"""One method on one query list of one gallery, as figures: measured here, written and read as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from glyphseek.errors import StoreError
from glyphseek.evaluation.benchmark import Benchmark, QueryList
from glyphseek.evaluation.breakdown import (
    SMALL_TEXT_PX,
    Bucket,
    by_height,
    by_length,
    height_bucket,
    small_text,
    word_heights,
)
from glyphseek.evaluation.metrics import (
    BoolArray,
    Interval,
    RankedHits,
    average_precision,
    bootstrap_interval,
    rank_hits,
    recall_at,
)
from glyphseek.types import FloatArray

Kind = TypeVar("Kind")
RECALL_COUNTS = (1, 5, 10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """One query: in how many images its answer is, and its average precision in percent."""

    query: str
    relevant: int
    average_precision_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `evaluate` found; every figure of quality is in percent.

    `interval_95` is the bootstrap interval of the mean over queries. `recall_percent` is by number of answers looked
    at. `by_height` counts a query in each bucket in which an image carries it, at `longer_side` pixels (None: the
    size of the file), and `small_text` in one for all text under 24 of these pixels. `comparable_to` names the papers'
    column measured on the same queries and images, or None. `figures` holds further measurements by name and unit,
    such as images_per_s.
    """

    method: str
    benchmark: str
    images: int
    query_list: str
    queries: int
    comparable_to: str | None
    map_percent: float
    interval_95: Interval
    recall_percent: Mapping[int, float]
    by_length: tuple[Bucket, ...]
    by_height: tuple[Bucket, ...]
    small_text: Bucket
    longer_side: int | None
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    per_query: tuple[QueryResult, ...]


def evaluate(
    benchmark: Benchmark,
    queries: QueryList,
    score: Callable[[str], FloatArray],
    *,
    method: str,
    longer_side: int | None = None,
    seed: int = 0,
    figures: Mapping[str, float] | None = None,
) -> Report:
    """Rank the whole gallery for every query and return the figures.

    `score(query)` gives one finite score per image, in the order of `benchmark.images`. The breakdown by height
    ranks, for each bucket, the images whose word has that height against the images without the word; the other
    relevant images are taken out. Raises InputError when scores do not fit the gallery.
    """
    places = {image.name: place for place, image in enumerate(benchmark.images)}
    heights = word_heights(benchmark, longer_side)
    results: list[QueryResult] = []
    recalls: list[list[float]] = []
    in_bucket: dict[str, list[float]] = defaultdict(list)
    of_small_text: dict[str, float] = {}
    for query, relevant in queries.relevant.items():
        scores_N = score(query)
        relevant_N = np.zeros(len(places), dtype=np.bool_)
        relevant_N[[places[name] for name in relevant]] = True
        ranking = rank_hits(relevant_N, scores_N)
        results.append(_result(query, ranking))
        recalls.append([recall_at(ranking, count) for count in RECALL_COUNTS])
        seen = heights.get(query, {})
        for label, kept_N in _kept_by(height_bucket, relevant_N, places, seen).items():
            in_bucket[label].append(average_precision(rank_hits(relevant_N[kept_N], scores_N[kept_N])))
        kept_N = _kept_by(is_small, relevant_N, places, seen).get(True)
        if kept_N is not None:
            of_small_text[query] = average_precision(rank_hits(relevant_N[kept_N], scores_N[kept_N]))
    precisions = {result.query: result.average_precision_percent / 100 for result in results}
    interval = bootstrap_interval(list(precisions.values()), seed=seed)
    return Report(
        method=method,
        benchmark=benchmark.name,
        images=len(benchmark.images),
        query_list=queries.name,
        queries=len(queries),
        comparable_to=queries.comparable_to,
        map_percent=100 * float(np.mean(list(precisions.values()))),
        interval_95=Interval(low=100 * interval.low, high=100 * interval.high),
        recall_percent=dict(zip(RECALL_COUNTS, (100 * np.mean(recalls, axis=0)).tolist(), strict=True)),
        by_length=by_length(precisions),
        by_height=by_height(in_bucket),
        small_text=small_text(of_small_text),
        longer_side=longer_side,
        figures=dict(figures or {}),
        per_query=tuple(results),
    )


def report_to_dict(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON values, fields in their order; numbers of answers become strings."""
    plain = dataclasses.asdict(report)
    plain["recall_percent"] = {str(count): value for count, value in report.recall_percent.items()}
    return plain


def save_reports(path: Path, reports: list[Report]) -> None:
    """Write the reports as one JSON document, {"reports": [...]}. Raises StoreError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"reports": [report_to_dict(report) for report in reports]}, indent=1) + "\n")
    except OSError as cause:
        raise StoreError(f"the report cannot be written to {path}: {cause}") from cause


def _result(query: str, ranking: RankedHits) -> QueryResult:
    precision = average_precision(ranking)
    return QueryResult(query=query, relevant=int(ranking.relevant), average_precision_percent=100 * precision)


def is_small(height: float) -> bool:
    """Return whether text of that many pixels counts as small."""
    return height < SMALL_TEXT_PX


def _kept_by(
    kind: Callable[[float], Kind], relevant_N: BoolArray, places: Mapping[str, int], heights: Mapping[str, float]
) -> dict[Kind, BoolArray]:
    """Return for each kind of height the images to rank: those of the kind, and those that are not relevant."""
    kept: dict[Kind, BoolArray] = {}
    for name, height in heights.items():
        if relevant_N[places[name]]:
            kept.setdefault(kind(height), ~relevant_N)[places[name]] = True
    return kept
