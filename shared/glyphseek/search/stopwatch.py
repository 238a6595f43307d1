"""Where the time of one search goes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from glyphseek.search.result import Timings

_Step = Literal["encode", "recall", "fetch", "rerank", "match"]


class Stopwatch:
    """Adds up the seconds of steps that may come several times; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: dict[_Step, float] = dict.fromkeys(("encode", "recall", "fetch", "rerank", "match"), 0.0)

    @contextmanager
    def measure(self, step: _Step) -> Generator[None]:
        """Add the time of the block to the step."""
        started = self._clock()
        yield
        self._seconds[step] += self._clock() - started

    def add(self, step: _Step, milliseconds: float) -> None:
        """Add a time that was measured elsewhere."""
        self._seconds[step] += milliseconds / 1000

    def read(self) -> Timings:
        """Return the sums in milliseconds."""
        return Timings(**{f"{step}_ms": 1000 * seconds for step, seconds in self._seconds.items()})
