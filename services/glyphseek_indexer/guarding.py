"""What a worker does so that one photo neither ends a job nor takes others with it, whatever it does to its worker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from glyphseek.errors import StoreUnavailable
from glyphseek.indexing import Skip
from glyphseek_indexer.retrying import Again, Patience, judge_failure

Item = TypeVar("Item")
Result = TypeVar("Result")

LOST = "WorkerLost"
"""Kind of a photo that workers died of, each time they were given it."""
_TRIES_TOGETHER = 2
_TRIES_ALONE = 2
_LOG = logging.getLogger(__name__)


class AttemptBook(Protocol):
    """Remembers what was begun, beyond the death of whoever began it. All methods are safe to call again."""

    def begin(self, key: str) -> int:
        """Note a beginning; return how often this was begun before and has not ended."""
        ...

    def end(self, key: str) -> None:
        """Note that what was begun has ended, well or not: its worker lives."""
        ...


class Attempts:
    """An AttemptBook in memory, for one process that outlives the workers."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, key: str) -> int:
        """Note a beginning; return how often this was begun before and has not ended."""
        self._begun[key] += 1
        return self._begun[key] - 1

    def end(self, key: str) -> None:
        """Forget a beginning."""
        self._begun.pop(key, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard(Generic[Item, Result]):
    """Does the work of one stage on batches.

    A batch that two workers died of is done one by one; a photo that two more died of is left out. A store that does
    not answer is waited for. Another error of the work, or that one past the patience, leaves out its batch, to be
    tried again later.

    work: of a batch, in order; it may be done over. leave_out: what to return for one item that is left out.
    """

    stage: str
    book: AttemptBook
    name_of: Callable[[Item], str]
    work: Callable[[Sequence[Item]], list[Result]]
    leave_out: Callable[[Item, Skip, Again], Result]
    patience: Patience

    def run(self, items: Sequence[Item]) -> list[Result]:
        """Return what the work gives, or that it gave nothing, for each item in order."""
        if not items:
            return []
        key = f"{self.stage}/together/{self.name_of(items[0])}"
        if self.book.begin(key) < _TRIES_TOGETHER:
            results = self._try(items)
        else:
            results = [self._run_alone(item) for item in items]
        self.book.end(key)
        return results

    def _run_alone(self, item: Item) -> Result:
        name = self.name_of(item)
        key = f"{self.stage}/alone/{name}"
        if self.book.begin(key) < _TRIES_ALONE:
            result = self._try([item])[0]
        else:
            message = f"{_TRIES_ALONE} workers died while they had this photo alone, in the stage of {self.stage}"
            result = self.leave_out(item, Skip(name=name, kind=LOST, message=message), Again.NEVER)
        self.book.end(key)
        return result

    def _try(self, items: Sequence[Item]) -> list[Result]:
        try:
            return self._insist(items)
        except Exception as error:  # noqa: BLE001 - the edge of a worker: a job goes on without these photos
            _LOG.exception("batch_failed stage=%s images=%d", self.stage, len(items))
            kind, message, again = type(error).__name__, str(error), judge_failure(error)
            return [
                self.leave_out(item, Skip(name=self.name_of(item), kind=kind, message=message), again) for item in items
            ]

    def _insist(self, items: Sequence[Item]) -> list[Result]:
        """Do the work, again and again while the store does not answer and there is patience left."""
        while True:
            try:
                results = self.work(items)
            except StoreUnavailable as error:
                if not self.patience.wait():
                    raise
                _LOG.warning("store_awaited stage=%s reason=%r", self.stage, error)
            else:
                self.patience.renew()
                return results
