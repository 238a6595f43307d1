"""Queries of several callers in one call of the model.

While a batch is at work, what arrives waits for the next one: so batches grow with the load by themselves, and a caller
who comes alone waits no longer than `wait_s`.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from glyphseek.errors import GlyphseekError, Overloaded, SettingError
from glyphseek.tracing import current_traceparent, span, trace_continued

I = TypeVar("I")
R = TypeVar("R")

_BATCH_S = 0.05  # what a batch takes, until one has been measured


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How requests become batches; impossible values raise SettingError.

    items: most items of one batch; a request with more is a batch of its own. waiting: most items that wait; beyond
    them requests are refused. wait_s: how long a batch that is not full waits for more.
    """

    items: int = 64
    waiting: int = 512
    wait_s: float = 0.001

    def __post_init__(self) -> None:
        for name, least in (("items", 1), ("waiting", 1), ("wait_s", 0)):
            if not (value := getattr(self, name)) >= least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request(Generic[I, R]):
    items: Sequence[I]
    answer: asyncio.Future[list[R]]
    arrived_s: float
    traceparent: str


class Batcher(Generic[I, R]):
    """Collects requests in one event loop, and has `work` answer the items of several at once, in a thread."""

    def __init__(
        self,
        work: Callable[[Sequence[I]], list[R]],
        settings: BatchSettings,
        *,
        on_batch: Callable[[int, Sequence[float]], None] = lambda _items, _waited: None,
        on_queue: Callable[[int], None] = lambda _items: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`work` returns one result for each item, in order.

        `on_batch` is told of each batch: its items, and the seconds that each of its requests waited. `on_queue` is
        told how many items wait.
        """
        self._work = work
        self._settings = settings
        self._on_batch = on_batch
        self._on_queue = on_queue
        self._clock = clock
        self._queue: deque[_Request[I, R]] = deque()
        self._queued = 0
        self._batch_s = _BATCH_S
        self._running: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[I]) -> list[R]:
        """Return the results of the items, in their order. Raises Overloaded, and what `work` raises for them.

        A caller who is cancelled while waiting costs the model nothing.
        """
        if self._queued + len(items) > self._settings.waiting and self._queued:
            raise Overloaded(
                f"{self._queued} items are waiting, the limit is {self._settings.waiting}",
                retry_after_s=float(math.ceil(self._batch_s * self._queued / self._settings.items)),
            )
        answer: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()
        with span("batch.wait", items=len(items)):
            traceparent = current_traceparent()
            self._queue.append(_Request(items=items, answer=answer, arrived_s=self._clock(), traceparent=traceparent))
            self._count(len(items))
            if self._running is None or self._running.done():
                # Of no caller: neither its deadline nor its request id holds for the others.
                self._running = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            return await answer

    async def _run(self) -> None:
        while self._queue:
            if self._queued < self._settings.items and self._settings.wait_s:
                await asyncio.sleep(self._settings.wait_s)
            if batch := self._take():
                await self._answer(batch)

    def _take(self) -> list[_Request[I, R]]:
        """Return the next requests, in the order of their arrival, as many as one batch holds but at least one."""
        batch: list[_Request[I, R]] = []
        held = 0
        while self._queue and (not batch or held + len(self._queue[0].items) <= self._settings.items):
            request = self._queue.popleft()
            self._count(-len(request.items))
            if not request.answer.done():
                batch.append(request)
                held += len(request.items)
        return batch

    async def _answer(self, batch: Sequence[_Request[I, R]]) -> None:
        started = self._clock()
        items = [item for request in batch for item in request.items]
        self._on_batch(len(items), [started - request.arrived_s for request in batch])
        try:
            results = await self._work_for([request.traceparent for request in batch], items)
        except GlyphseekError as error:
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for request in batch:  # one of them is wrong: the others are answered
                await self._answer([request])
            return
        except Exception as error:  # noqa: BLE001 - the task goes on with other callers; the caller's edge logs it
            for request in batch:
                _fail(request, error)
            return
        self._batch_s = self._clock() - started
        end = 0
        for request in batch:
            start, end = end, end + len(request.items)
            if not request.answer.done():
                request.answer.set_result(results[start:end])

    async def _work_for(self, traceparents: Sequence[str], items: Sequence[I]) -> list[R]:
        """Have a thread do the work, as a span of the first caller's trace that is linked to all of them."""
        with trace_continued(traceparents[0]), span("batch.work", links=traceparents, items=len(items)):
            return await asyncio.to_thread(self._work, items)

    def _count(self, more: int) -> None:
        self._queued += more
        self._on_queue(self._queued)


def _fail(request: _Request[I, R], error: Exception) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)
