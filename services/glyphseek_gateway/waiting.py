"""Waiting for what another thread is doing, no longer than one's own caller waits."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from glyphseek.deadlines import time_left
from glyphseek.errors import StoreUnavailable

_LONGEST_S = 30.0  # where the caller has no deadline


@contextmanager
def held_in_time(lock: threading.Lock, busy_with: str) -> Generator[None]:
    """Hold the lock in the block.

    Raises StoreUnavailable, which says what the other thread is `busy_with`, when it does not end in the time that the
    current call has left, and DeadlineExceeded when that was over before.
    """
    if not lock.acquire(timeout=time_left(_LONGEST_S)):
        raise StoreUnavailable(f"{busy_with}; try again")
    try:
        yield
    finally:
        lock.release()
