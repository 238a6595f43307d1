from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from glyphseek.features.s3.hedging import Hedge

FEWEST = 32  # reads that a hedge learns from before it asks for anything twice


class Reads:
    """Reads that take the seconds, or fail with the errors, that they were given, one after the other.

    None is a read that takes until a second one has begun, however late that is.
    """

    def __init__(self, *outcomes: float | Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.begun = 0
        self.cancelled = 0
        self.both = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        if self.begun == 2:
            self.both.set()
        number, outcome = self.begun, self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        try:
            await (self.both.wait() if outcome is None else asyncio.sleep(outcome))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return number


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def trained(share: float = 1.0) -> Hedge:
    """A hedge that knows of fast reads, of as few as it learns from: until then it asks nothing twice."""
    hedge = Hedge(share, clock=lambda: 0.0)
    quick: Callable[[], Awaitable[int]] = Reads(*[0.0] * FEWEST)
    for _ in range(FEWEST):
        await hedge.run(quick)
    assert hedge.delay_s() == (0.005 if share else None)
    return hedge


def test_nothing_is_asked_twice_before_enough_is_known() -> None:
    async def work() -> None:
        hedge, reads = Hedge(1.0), Reads(0.1)
        assert hedge.delay_s() is None
        assert await hedge.run(reads) == 1
        assert (reads.begun, hedge.sent, hedge.won) == (1, 0, 0)

    run(work())


def test_a_slow_read_is_overtaken_by_a_second_one_and_cancelled() -> None:
    async def work() -> None:
        hedge, reads = await trained(), Reads(30, 0.0)
        assert await hedge.run(reads) == 2
        await asyncio.sleep(0)
        assert (reads.begun, reads.cancelled, hedge.sent, hedge.won) == (2, 1, 1, 1)

    run(work())


def test_a_slow_read_that_is_still_first_counts() -> None:
    async def work() -> None:
        hedge, reads = await trained(), Reads(None, 30)
        assert await hedge.run(reads) == 1
        assert (hedge.sent, hedge.won) == (1, 0)

    run(work())


def test_one_of_two_reads_may_fail() -> None:
    async def work() -> None:
        hedge, reads = await trained(), Reads(None, OSError("the second"))
        assert await hedge.run(reads) == 1
        assert reads.begun == 2

    run(work())


def test_a_read_that_fails_at_once_is_not_asked_twice() -> None:
    async def work() -> None:
        hedge, reads = await trained(), Reads(OSError("no"), 0.0)
        with pytest.raises(OSError, match="no"):
            await hedge.run(reads)
        assert reads.begun == 1

    run(work())


def test_cancelling_cancels_both_reads() -> None:
    async def work() -> None:
        hedge, reads = await trained(), Reads(30, 30)
        running = asyncio.ensure_future(hedge.run(reads))
        await reads.both.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0)
        assert (reads.begun, reads.cancelled) == (2, 2)

    run(work())


def test_second_requests_are_at_most_their_share_and_a_few_saved_up() -> None:
    async def work() -> None:
        hedge = await trained(share=0.05)
        for _ in range(10):
            await hedge.run(Reads(0.1, 0.1))
        assert hedge.sent == int(0.05 * (FEWEST + 10))

    run(work())


def test_a_share_of_nothing_turns_it_off() -> None:
    async def work() -> None:
        hedge, reads = await trained(share=0), Reads(0.05)
        assert hedge.delay_s() is None
        assert await hedge.run(reads) == 1

    run(work())
