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
        try:
            yield
        finally:
            self._seconds[step] += self._clock() - started

    def move(self, to: _Step, *, of: _Step, milliseconds: float) -> None:
        """Count so much of a step's time, which was told by who worked, as another's; what is left is the step's."""
        self._seconds[to] += milliseconds / 1000
        self._seconds[of] -= milliseconds / 1000

    def read(self) -> Timings:
        """Return the sums in milliseconds."""
        return Timings(**{f"{step}_ms": 1000 * seconds for step, seconds in self._seconds.items()})
