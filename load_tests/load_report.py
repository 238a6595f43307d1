"""What a load of a deployment came to, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from load_calls import ADDED_PREFIX, HITS, Outcome

ADDING = "add"
"""Kind of the requests that add a photo; all others are searches."""
_LEAST = "least_"


@dataclass(slots=True, kw_only=True)
class LoadFigures:
    """Figures of one run, filled while it goes on. Times are milliseconds from when a request was due."""

    scenario: str
    rate: float
    started: int = 0
    cpu_percent: float = 0.0
    times_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    stages_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    refused: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    degraded: int = 0
    without_retry_after: int = 0
    cache_ratio: dict[str, float] = field(default_factory=dict[str, float])
    _begun_s: float = 0.0
    _ended_s: float = 0.0

    def begin(self, now_s: float) -> None:
        """Say when the first request is due."""
        self._begun_s = now_s

    def end(self, now_s: float) -> None:
        """Say when the last request was due."""
        self._ended_s = now_s

    def note(self, kind: str, name: str, outcome: Outcome, milliseconds: float, *, is_right: bool) -> None:
        """Take in one request."""
        if outcome.is_refused:
            self.refused[kind] += 1
            self.without_retry_after += not outcome.tells_when_to_retry
        elif outcome.error:
            self.errors[f"{kind}: {outcome.error}"] += 1
        else:
            self.times_ms.setdefault(kind, []).append(milliseconds)
            self.degraded += bool(outcome.degraded)
            if not is_right:
                self.wrong.append(name)
            for stage, spent_ms in outcome.stages_ms.items():
                self.stages_ms.setdefault(stage.removesuffix("_ms"), []).append(spent_ms)

    def note_counts(self, before: dict[str, float], after: dict[str, float]) -> None:
        """Take in the counters of the deployment from before and after the load."""
        for service in ("reranker", "matcher"):
            hits, misses = (
                after.get(f"{name} {service}", 0.0) - before.get(f"{name} {service}", 0.0)
                for name in ("glyphseek_cache_hits_total", "glyphseek_cache_misses_total")
            )
            if hits + misses:
                self.cache_ratio[service] = round(hits / (hits + misses), 4)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        answered = sum(len(times) for kind, times in self.times_ms.items() if kind != ADDING)
        noted = sum(map(len, self.times_ms.values())) + self.refused.total() + self.errors.total()
        seconds = max(self._ended_s - self._begun_s, 1e-9)
        return {
            "scenario": self.scenario,
            "offered_per_second": self.rate,
            "seconds": round(seconds, 1),
            "answered": answered,
            "answered_per_second": round(answered / seconds, 2),
            "answered_share": round(answered / seconds / self.rate, 4),
            "added": len(self.times_ms.get(ADDING, ())),
            "unaccounted": self.started - noted,
            "refused": self.refused.total(),
            "refused_by_kind": dict(self.refused),
            "refused_without_retry_after": self.without_retry_after,
            "errors": dict(self.errors),
            "failed": self.errors.total(),
            "wrong": len(self.wrong),
            "wrong_queries": sorted(set(self.wrong)),
            "degraded": self.degraded,
            "requests_ms": {kind: _percentiles(values) for kind, values in sorted(self.times_ms.items())},
            "stages_ms": {stage: _percentiles(values) for stage, values in sorted(self.stages_ms.items())},
            "cache_ratio": self.cache_ratio,
            "cpu_percent": self.cpu_percent,
        }

    def describe(self) -> str:
        """Return the report as lines."""
        report = self.as_json()
        lines = [
            f"{self.scenario}: {report['offered_per_second']:.0f} searches/s offered for {report['seconds']:.0f} s, "
            f"{report['answered_per_second']:.1f} answered/s, {self.refused.total()} refused, "
            f"{report['failed']} failed, {len(self.wrong)} wrong, {self.degraded} degraded; "
            f"cache {self.cache_ratio or '-'}, CPU {self.cpu_percent:.0f} %"
        ]
        for part in ("requests_ms", "stages_ms"):
            for name, values in report[part].items():
                lines.append(f"  {name:10} " + "  ".join(f"{key} {value:8.1f}" for key, value in values.items()))
        lines += [f"  {count} x {error}" for error, count in self.errors.most_common(5)]
        return "\n".join(lines)


def is_right(outcome: Outcome, expected: Sequence[str], *, may_have_added: bool) -> bool:
    """Return whether an answer has the hits that the query has when it is asked alone, in their order, all of them.

    may_have_added: photos that the load adds may stand between them, and push the last ones out of a full page. Of an
    answer that says what it went without the order is not known; it must have hits, and none twice.
    """
    found = outcome.image_ids
    if outcome.degraded:
        return 0 < len(set(found)) == len(found) <= HITS
    if not may_have_added:
        return found == tuple(expected)
    others = tuple(one for one in found if not one.startswith(ADDED_PREFIX))
    is_whole = len(others) == len(expected) or len(found) == HITS
    return others == tuple(expected[: len(others)]) and len(found) <= HITS and is_whole


def list_misses(report: dict[str, Any], thresholds: dict[str, float]) -> list[str]:
    """Return what the report misses; no request may be unaccounted for, and something must have been answered.

    `p99_ms` bounds every kind of search, `least_x` is what figure x must reach, `x` what it must not pass.
    """
    misses: list[str] = []
    for name, bound in thresholds.items():
        if name.endswith("_ms"):
            found = {kind: values[name.removesuffix("_ms")] for kind, values in report["requests_ms"].items()}
            misses += [
                f"{kind} {name} is {value:.1f}, the bound is {bound:g}"
                for kind, value in found.items()
                if value > bound and kind != ADDING
            ]
        elif name.startswith(_LEAST):
            if (value := report[name.removeprefix(_LEAST)]) < bound:
                misses.append(f"{name.removeprefix(_LEAST)} is {value:g}, it must be at least {bound:g}")
        elif report[name] > bound:
            misses.append(f"{name} is {report[name]:g}, the bound is {bound:g}")
    if not report["answered"]:
        misses.append("nothing was answered")
    if report["unaccounted"]:
        misses.append(f"of {report['unaccounted']} requests nobody knows what became")
    return misses


def _percentiles(values: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {"count": len(values), "p50": round(p50, 2), "p95": round(p95, 2), "p99": round(p99, 2)}
