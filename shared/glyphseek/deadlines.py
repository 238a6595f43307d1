"""Until when whoever waits for this thread or task waits: set where a call arrives, kept to wherever one leaves.

Below all that does so: stores must keep to it and know no rpc.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from glyphseek.errors import DeadlineExceeded

_current: ContextVar[float | None] = ContextVar("glyphseek_deadline", default=None)

_NO_TIME_S = 0.01  # what is left is nothing: the clocks of gRPC and of Python differ by a little


@contextmanager
def deadline_bound(deadline: float | None) -> Generator[None]:
    """Make a moment of `time.monotonic` the deadline of the block, in this thread or task and those it starts.

    None is for what must not be cut in half, such as a write of several steps: only its own bounds hold in the block.
    """
    before = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(before)


def time_left(most_s: float) -> float:
    """Return how long the next step may take: `most_s` seconds, or what the deadline leaves if that is less.

    Raises DeadlineExceeded when nothing is left.
    """
    deadline = _current.get()
    if deadline is None:
        return most_s
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("the time that the caller gave is over")
    return min(most_s, left_s)


def is_time_over() -> bool:
    """Return whether the deadline, if any, has passed, or does in the next 10 ms."""
    deadline = _current.get()
    return deadline is not None and deadline - time.monotonic() <= _NO_TIME_S
