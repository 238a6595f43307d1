"""Generators whose steps and end are run in one context."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator

import pytest

from glyphseek.rpc.stepping import in_one_context

_MARK: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="nobody")


async def count(seen: list[str], *, fails: bool = False) -> AsyncGenerator[int]:
    """Yield 0, 1 and 2, and note the mark at every step; it is the generator's own until its end."""
    seen.append(_MARK.get())
    token = _MARK.set("mine")
    try:
        for number in range(3):
            yield number
            seen.append(_MARK.get())
            if fails:
                raise KeyError("odd")
    finally:
        _MARK.reset(token)
        seen.append(_MARK.get())


def test_steps_asked_for_by_several_tasks_share_the_context_of_the_first() -> None:
    async def work() -> None:
        seen: list[str] = []
        steps = in_one_context(count(seen))

        async def step(mark: str) -> int | None:
            _MARK.set(mark)
            return await anext(steps, None)

        assert [await asyncio.create_task(step(mark)) for mark in "abcd"] == [0, 1, 2, None]
        assert seen == ["a", "mine", "mine", "mine", "a"]
        assert _MARK.get() == "nobody"

    asyncio.run(work())


def test_one_that_is_ended_by_another_task_ends_in_its_own_context() -> None:
    async def work() -> None:
        seen: list[str] = []
        steps = in_one_context(count(seen))

        async def begin() -> None:
            assert await anext(steps) == 0

        await asyncio.create_task(begin())
        await steps.aclose()
        assert seen == ["nobody", "nobody"]

    asyncio.run(work())


def test_one_that_is_dropped_ends_too(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        seen: list[str] = []

        async def begin_and_drop() -> None:
            assert await anext(in_one_context(count(seen))) == 0

        await asyncio.create_task(begin_and_drop())
        for _ in range(20):
            await asyncio.sleep(0)
        assert seen == ["nobody", "nobody"]
        assert caplog.text == ""

    asyncio.run(work())


def test_an_error_is_that_of_the_generator() -> None:
    async def work() -> None:
        seen: list[str] = []
        with pytest.raises(KeyError, match="odd"):
            assert [one async for one in in_one_context(count(seen, fails=True))] == []
        assert seen == ["nobody", "mine", "nobody"]

    asyncio.run(work())


def test_a_step_whose_task_is_cancelled_is_cancelled() -> None:
    async def work() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def wait() -> AsyncGenerator[int]:
            began.set()
            try:
                await asyncio.sleep(60)
                yield 1
            finally:
                ended.set()

        async def take() -> None:
            async for _ in in_one_context(wait()):
                pass

        taking = asyncio.create_task(take())
        await began.wait()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert ended.is_set()

    asyncio.run(work())
