"""A second request for a read that is slow, so that one slow disk or connection does not hold up a whole gather.

After Dean and Barroso, The Tail at Scale (2013): the second is sent past the 95th percentile, so that few are.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_WINDOW = 256
_LEAST_SAMPLES = 32
_SHARE = 0.95
_LEAST_DELAY_S = 0.005
_MOST_SAVED = 8.0


class Hedge:
    """Sends reads, some of them twice; for one event loop. `share` bounds second requests for each first one."""

    def __init__(self, share: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._seconds: deque[float] = deque(maxlen=_WINDOW)
        self._allowance = 0.0
        self.sent = 0
        self.won = 0

    async def run(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what `read` returns, or a second call of it where the first takes long; the slower one is cancelled.

        Raises what the first raises if it fails before the second is sent, and what the last raises if both fail.
        """
        self._allowance = min(self._allowance + self._share, _MOST_SAVED)
        started = self._clock()
        first = asyncio.ensure_future(read())
        reads: set[asyncio.Future[T]] = {first}
        try:
            await asyncio.wait(reads, timeout=self.delay_s())
            if not first.done() and self._may_send():
                reads.add(asyncio.ensure_future(read()))
            winner = await _wait_for_success(reads)
        finally:
            for one in reads:
                one.cancel()
        self.won += winner is not first
        self._seconds.append(self._clock() - started)
        return winner.result()

    def delay_s(self) -> float | None:
        """Return how long to wait before a second request; None while too little is known, or never."""
        if self._share == 0 or len(self._seconds) < _LEAST_SAMPLES:
            return None
        return max(_LEAST_DELAY_S, sorted(self._seconds)[int(_SHARE * len(self._seconds))])

    def _may_send(self) -> bool:
        if self._allowance < 1:
            return False
        self._allowance -= 1
        self.sent += 1
        return True


async def _wait_for_success(reads: set[asyncio.Future[T]]) -> asyncio.Future[T]:
    """Return the first future that has a result, or one that failed when all have."""
    waiting: set[asyncio.Future[T]] = set(reads)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            if one.exception() is None:
                return one
        if not waiting:
            return done.pop()
