"""How much work one process takes on: so many at once in threads, so many waiting, and no more.

A request takes a place before anything of it is read. Its place is free again when its work has really ended, also when
nobody waits for the answer any more: so what runs is always bounded.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from typing import TypeVar

from glyphseek.errors import DeadlineExceeded, Overloaded, SettingError
from glyphseek.metrics import Metrics, QueueMetrics

T = TypeVar("T")

_LONGEST_WAIT_S = 30.0
_FORGETTING = 0.1  # share of the newest duration in the mean


class Admission:
    """Runs the blocking work of one kind of request in `at_once` threads, and lets `waiting` more requests wait."""

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        waiting: int,
        queue: QueueMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is of the work, in the plural, for messages. `queue` counts it. `clock` is that of the deadlines."""
        if at_once < 1 or waiting < 0:
            raise SettingError(f"{name} at once are {at_once} and waiting {waiting}: at least 1 and 0 are needed")
        self._name = name
        self._at_once = at_once
        self._limit = at_once + waiting
        self._queue = queue or Metrics().queue(name)
        self._clock = clock
        self._executor = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._held = 0
        self._mean_s = 0.1

    @property
    def held(self) -> int:
        """Return how many places are taken, by work that runs and by requests that wait."""
        return self._held

    @contextmanager
    def place(self) -> Generator[Place]:
        """Take a place for the block and for what it runs. Raises Overloaded, with the limit, when none is free."""
        with self._lock:
            if self._held >= self._limit:
                raise Overloaded(
                    f"{self._held} {self._name} are running or waiting, the limit is {self._limit}",
                    retry_after_s=self._guess_wait_s(),
                )
            self._held += 1
        place = Place(self._submit, self._clock)
        try:
            yield place
        finally:
            place.leave(self._free)

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        self._queue.enter()
        future = self._executor.submit(self._measure, work, self._clock())
        future.add_done_callback(self._look_whether_it_began)
        return future

    def _measure(self, work: Callable[[], T], entered: float) -> T:
        started = self._clock()
        self._queue.begin(started - entered)
        try:
            return work()
        finally:
            self._queue.end()
            with self._lock:
                self._mean_s += _FORGETTING * (self._clock() - started - self._mean_s)

    def _look_whether_it_began(self, future: Future[T]) -> None:
        if future.cancelled():
            self._queue.give_up()

    def _free(self) -> None:
        with self._lock:
            self._held -= 1

    def _guess_wait_s(self) -> float:
        """Return when a place should be free: whole seconds, as HTTP wants them."""
        rounds = self._held / self._at_once
        return float(ceil(min(max(1.0, rounds * self._mean_s), _LONGEST_WAIT_S)))


class Place:
    """One admitted request."""

    def __init__(self, submit: Callable[[Callable[[], object]], Future[object]], clock: Callable[[], float]) -> None:
        self._submit = submit
        self._clock = clock
        self._running: Future[object] | None = None

    async def run(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        """Return what `work` returns, run in one of the threads with the caller's context variables.

        Raises DeadlineExceeded at the deadline (of the clock); work that has not begun by then never does, work that
        has goes on and keeps the place. The same holds when the caller is cancelled.
        """
        context = contextvars.copy_context()

        def begin() -> T:
            if deadline is not None and self._clock() >= deadline:
                raise DeadlineExceeded("the deadline passed before the work began")
            return context.run(work)

        future = self._running = self._submit(begin)
        waiting = asyncio.wrap_future(future)
        limit = asyncio.timeout(None if deadline is None else max(0.0, deadline - self._clock()))
        try:
            async with limit:
                return await asyncio.shield(waiting)  # pyright: ignore[reportReturnType] - it is what begin returns
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            raise DeadlineExceeded("the deadline passed before the answer was there") from error
        finally:
            future.cancel()
            waiting.add_done_callback(_look_at)

    def leave(self, free: Callable[[], None]) -> None:
        """Call `free` when the work has ended."""
        if self._running is None:
            free()
        else:
            self._running.add_done_callback(lambda _: free())


def _look_at(waiting: asyncio.Future[object]) -> None:
    """Take the error of work that nobody waits for any more, so that asyncio does not report it as lost."""
    if not waiting.cancelled():
        waiting.exception()
