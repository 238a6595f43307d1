"""Threads that go on with what their work belongs to: the id of its request, its deadline and its trace."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ContextThreads(ThreadPoolExecutor):
    """A pool of threads in which work runs within the context variables of whoever submitted it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the work as soon as a thread is free; `map` goes this way too."""
        return super().submit(copy_context().run, fn, *args, **kwargs)
