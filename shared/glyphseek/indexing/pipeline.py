"""Two small tools of the pipeline: results of threads in order with a bound on what is in flight, and batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

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
