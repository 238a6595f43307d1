"""One job: list the photos, have them read and encoded by workers, write the rows, account for every name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from glyphseek.errors import GlyphseekError, ServiceUnavailable, StoreFull, StoreUnavailable
from glyphseek.indexing import IngestProgress, Skip
from glyphseek.indexing import Outcome as Ending
from glyphseek_indexer.committing import Counts, Outcome, RowWriter
from glyphseek_indexer.retrying import Again
from glyphseek_indexer.sources import PhotoSource

MOST_FAILURES_IN_A_ROW = 256
"""When so many photos one after the other fail for a reason that may pass, it is not passing: the job ends early."""
LONGEST_FAILING_S = 300.0
LEAST_FAILURES_IN_A_ROW = 16
"""The same of fewer photos, when each failed only after a long wait."""

COMMIT_S = 10.0
"""Rows are committed at least so often while photos come back: what `glyphseek gc` waits for must be longer."""


class Workers(Protocol):
    """Processes that read and encode photos, and give the photos of one that died to another."""

    def run(self, names: Sequence[str]) -> Iterator[list[Outcome]]:
        """Yield what became of photos as it is known, in no order.

        Raises ServiceUnavailable when the workers fail altogether.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Job:
    """Run once. Whatever ends it early, what was committed stays, and another job goes on from there."""

    source: PhotoSource
    workers: Workers
    writer: RowWriter
    commit_images: int
    on_progress: Callable[[IngestProgress], None]
    clock: Callable[[], float] = time.monotonic
    found: int = 0
    _committed_s: float = 0.0
    _pending: dict[str, None] = field(default_factory=dict[str, None])
    _failures: int = 0
    _failing_since_s: float = 0.0
    _failed: dict[str, Skip] = field(default_factory=dict[str, Skip])
    _waiting: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def counts(self) -> Counts:
        """Return what became of the photos that are done with."""
        return self.writer.counts

    def run(self) -> tuple[Ending, str]:
        """Do the job; return how it ended and, unless it is complete, why."""
        try:
            self._list()
            self._committed_s = self.clock()
            self._pass()
            self._pass(is_last=True)  # what failed for a reason that may have passed
            self._check_none_is_left()
        except KeyboardInterrupt:
            return Ending.CANCELLED, "interrupted; run again to go on"
        except StoreFull as error:
            return Ending.FULL, f"{error}; free some space and run again to go on"
        except GlyphseekError as error:
            return Ending.FAILED, f"{type(error).__name__}: {error}; run again to go on"
        return Ending.COMPLETE, ""

    def _list(self) -> None:
        for entry in self.source.names():
            if isinstance(entry, Skip):
                self.writer.refuse(entry)
            else:
                self._pending[entry] = None
        self.found = len(self._pending) + len(self.counts.refused)
        self._tell()

    def _pass(self, *, is_last: bool = False) -> None:
        if not self._pending:
            return
        for outcomes in self.workers.run(list(self._pending)):
            for one in outcomes:
                self._note(one, is_last=is_last)
            if len(self._waiting) >= self.commit_images or self.clock() - self._committed_s >= COMMIT_S:
                self._commit()
            self._tell()
        self._commit()
        self._tell()

    def _note(self, outcome: Outcome, *, is_last: bool) -> None:
        """Take in what is final; a name that came back before is done with.

        A photo worth another try waits for the last pass, and one that a store failed is never done with by that.
        """
        if outcome.name not in self._pending:
            return
        is_final = outcome.again is Again.NEVER or (is_last and outcome.again is Again.ONCE)
        if outcome.skip is not None and not is_final:
            self._failed[outcome.name] = outcome.skip
            self._check_failures(outcome.skip)
        else:
            del self._pending[outcome.name]
            self._failures = 0
            self._waiting.append(outcome)

    def _check_failures(self, last: Skip) -> None:
        now_s = self.clock()
        self._failing_since_s = now_s if self._failures == 0 else self._failing_since_s
        self._failures += 1
        is_long = self._failures >= LEAST_FAILURES_IN_A_ROW and now_s - self._failing_since_s >= LONGEST_FAILING_S
        if self._failures >= MOST_FAILURES_IN_A_ROW or is_long:
            reason = f"{last.kind}: {last.message}"
            raise ServiceUnavailable(f"the last {self._failures} photos failed, the last one for: {reason}")

    def _check_none_is_left(self) -> None:
        """Raise StoreFull or StoreUnavailable unless every name was done with: what is left is no fault of photos."""
        if not self._pending:
            return
        skips = [self._failed[name] for name in self._pending if name in self._failed]
        full = next((skip for skip in skips if skip.kind == StoreFull.__name__), None)
        if full is not None:
            raise StoreFull(full.message)
        example = f", {skips[0].name!r} for: {skips[0].kind}: {skips[0].message}" if skips else ""
        raise StoreUnavailable(f"{len(self._pending)} photos could not be read or stored{example}")

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.writer.write(waiting)
        self._committed_s = self.clock()

    def _tell(self) -> None:
        done = self.counts.done + len(self._waiting)
        self.on_progress(IngestProgress(done=done, total=self.found, refused=len(self.counts.refused)))
