"""Small tools of the pipeline: work of threads, in order and with a bound on what is in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(executor: Executor, function: Callable[[T], R], items: Iterable[T], *, ahead: int) -> Generator[R]:
    """Yield `function(item)` for every item in order, with at most `ahead` of them queued, at work or waiting.

    An error of the function is raised in its place. Closing the iterator cancels what has not begun.
    """
    window: deque[Future[R]] = deque()
    try:
        for item in items:
            window.append(executor.submit(function, item))
            if len(window) >= ahead:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        for future in window:
            future.cancel()


class CallsAhead(Generic[T, R]):
    """Calls of one function, up to `bound` under way at once; results are handed over in the order of the items.

    For one thread, which hands items in and takes results. The executor must have `bound` threads free for it.
    """

    def __init__(self, executor: Executor, function: Callable[[T], R], *, bound: int) -> None:
        self._executor = executor
        self._function = function
        self._bound = bound
        self._window: deque[Future[R]] = deque()

    def call(self, item: T) -> list[R]:
        """Begin a call; once `bound` are under way, wait for the oldest and return its result, else return nothing.

        Raises what the oldest raised, which is then left to `rescue`.
        """
        self._window.append(self._executor.submit(self._function, item))
        return [self._take()] if len(self._window) >= self._bound else []

    def rest(self) -> Generator[R]:
        """Yield the results of the calls that are still under way; raises in the place of one that failed."""
        while self._window:
            yield self._take()

    def rescue(self) -> Generator[R]:
        """Yield the results of those that still succeed: for when something has failed and nothing may be lost."""
        while self._window:
            if self._window[0].exception() is None:
                yield self._take()
            else:
                self._window.popleft()

    def _take(self) -> R:
        result = self._window[0].result()  # an interrupt while this waits leaves the call in the window
        self._window.popleft()
        return result


class BoundedLine:
    """Jobs for one thread, done in the order they are given; giving one more than `bound` waits for the oldest."""

    def __init__(self, executor: Executor, *, bound: int) -> None:
        self._executor = executor
        self._bound = bound
        self._window: deque[Future[None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        """Give a job; raises what the oldest job raised, if it did."""
        while self._window and (self._window[0].done() or len(self._window) >= self._bound):
            self._window.popleft().result()
        self._window.append(self._executor.submit(job))

    def finish(self, last_job: Callable[[], None]) -> None:
        """Wait for all jobs, then do `last_job`, also when one of them failed; raises an error of any of them."""
        try:
            while self._window:
                self._window.popleft().result()
        finally:
            self._executor.submit(last_job).result()
