"""Asynchronous generators that keep to one context, whoever asks for their next step or ends them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from enum import Enum
from typing import TypeVar

A = TypeVar("A")


class _End(Enum):
    REACHED = 0


async def in_one_context(steps: AsyncGenerator[A]) -> AsyncGenerator[A]:
    """Yield what `steps` yields; every step of it, and its end, is run in a copy of the context of the first.

    What a generator sets in its context it can take back there only. Neither gRPC nor Ray Serve promises to end a
    generator where it began: when a caller leaves while an answer is sent it is dropped, and asyncio ends it in a task
    of its own.
    """
    context = contextvars.copy_context()

    async def go_on() -> A | _End:
        return await anext(steps, _End.REACHED)

    try:
        while not isinstance(one := await asyncio.create_task(go_on(), context=context), _End):
            yield one
    finally:
        await asyncio.create_task(_end(steps), context=context)


async def _end(steps: AsyncGenerator[A]) -> None:
    await steps.aclose()
