"""The counts of a run while it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glyphseek.indexing.report import IndexReport, Outcome, Skip


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts of one pass; the names are those of IndexReport."""

    found: int = 0
    passed_over: int = 0
    unchanged: int = 0
    done: int = 0
    added: int = 0
    reused: int = 0
    encoded: int = 0
    renamed: int = 0
    described: int = 0
    removed: int = 0
    encoder_seconds: float = 0.0
    skips: list[Skip] = field(default_factory=list[Skip])

    def report(self, outcome: Outcome, message: str, *, seconds: float, content_skips: Iterable[Skip]) -> IndexReport:
        """Return the counts as a report, skips ordered by name."""
        skipped = sorted([*self.skips, *content_skips], key=lambda skip: skip.name)
        return IndexReport(
            outcome=outcome,
            message=message,
            found=self.found,
            passed_over=self.passed_over,
            unchanged=self.unchanged,
            added=self.added,
            reused=self.reused,
            renamed=self.renamed,
            described=self.described,
            removed=self.removed,
            skipped=tuple(skipped),
            seconds=seconds,
            encoded=self.encoded,
            encoder_seconds=self.encoder_seconds,
        )
