import asyncio
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.errors import Overloaded, QueryError, SettingError
from glyphseek.tracing import set_up_tracing, span
from glyphseek_encoder.batching import Batcher, BatchSettings

pytestmark = pytest.mark.timeout(30)


class Doubling:
    """Doubles numbers; refuses 13; while `gate` is closed it answers nobody."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        assert self.gate.wait(20)
        if 13 in items:
            raise QueryError("13 cannot be doubled")
        if 14 in items:
            raise ValueError("nobody knows 14")
        return [2 * item for item in items]


async def _until(batcher_has_begun: Doubling) -> None:
    while not batcher_has_begun.batches:
        await asyncio.sleep(0.001)


def test_a_request_alone_is_answered() -> None:
    work = Doubling()

    async def ask() -> list[int]:
        return await Batcher(work, BatchSettings()).submit([1, 2])

    assert asyncio.run(ask()) == [2, 4]
    assert work.batches == [[1, 2]]


def test_what_arrives_while_a_batch_is_at_work_is_answered_together() -> None:
    work = Doubling()
    told: list[tuple[int, int]] = []

    async def ask() -> list[list[int]]:
        batcher = Batcher(work, BatchSettings(wait_s=0), on_batch=lambda items, waits: told.append((items, len(waits))))
        work.gate.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await _until(work)
        others = [asyncio.create_task(batcher.submit([one, one + 100])) for one in range(1, 6)]
        await asyncio.sleep(0)
        work.gate.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == [[0], *[[2 * one, 2 * one + 200] for one in range(1, 6)]]
    assert work.batches == [[0], [1, 101, 2, 102, 3, 103, 4, 104, 5, 105]]
    assert told == [(1, 1), (10, 5)]


def test_a_batch_holds_no_more_than_its_limit_and_at_least_one_request() -> None:
    work = Doubling()

    async def ask() -> None:
        batcher = Batcher(work, BatchSettings(items=3))
        await asyncio.gather(*(batcher.submit(items) for items in ([1, 2], [3], [4, 5, 6, 7], [8])))

    asyncio.run(ask())
    assert work.batches == [[1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_request_that_is_refused_leaves_the_others_of_its_batch_answered() -> None:
    async def ask() -> list[list[int] | BaseException]:
        batcher = Batcher(Doubling(), BatchSettings())
        return await asyncio.gather(*(batcher.submit([one]) for one in (1, 13, 2)), return_exceptions=True)

    first, refused, last = asyncio.run(ask())
    assert (first, last) == ([2], [4])
    assert isinstance(refused, QueryError)


def test_a_fault_of_the_model_reaches_all_callers_and_the_next_batch_is_answered() -> None:
    async def ask() -> tuple[list[list[int] | BaseException], list[int]]:
        batcher = Batcher(Doubling(), BatchSettings())
        failed = await asyncio.gather(*(batcher.submit([one]) for one in (14, 1)), return_exceptions=True)
        return failed, await batcher.submit([3])

    failed, answered = asyncio.run(ask())
    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert answered == [6]


def test_more_than_may_wait_is_refused_with_a_time_to_come_again() -> None:
    work = Doubling()
    queued: list[int] = []

    async def ask() -> None:
        batcher = Batcher(work, BatchSettings(waiting=2, wait_s=0), on_queue=queued.append)
        work.gate.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await _until(work)
        waiting = [asyncio.create_task(batcher.submit([one])) for one in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="2 items are waiting, the limit is 2") as caught:
            await batcher.submit([3])
        assert caught.value.retry_after_s == 1.0
        work.gate.set()
        assert await asyncio.gather(first, *waiting) == [[0], [2], [4]]

    asyncio.run(ask())
    assert max(queued) == 2
    assert queued[-1] == 0


def test_callers_who_went_away_cost_the_model_nothing() -> None:
    work = Doubling()

    async def ask() -> list[int]:
        batcher = Batcher(work, BatchSettings(wait_s=0))
        work.gate.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await _until(work)
        gone, stays = asyncio.create_task(batcher.submit([1])), asyncio.create_task(batcher.submit([2]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        work.gate.set()
        await first
        return await stays

    assert asyncio.run(ask()) == [4]
    assert work.batches == [[0], [2]]


def test_a_batch_is_in_the_trace_of_its_first_caller_and_linked_to_all() -> None:
    exporter = InMemorySpanExporter()
    stop = set_up_tracing("test", exporter=exporter)

    async def ask(batcher: Batcher[int, int], item: int) -> None:
        with span(f"caller.{item}"):
            await batcher.submit([item])

    async def ask_both() -> None:
        batcher = Batcher(Doubling(), BatchSettings(wait_s=0.05))
        await asyncio.gather(ask(batcher, 1), ask(batcher, 2))

    asyncio.run(ask_both())
    stop()
    found = {one.name: one.context for one in exporter.get_finished_spans()}
    (work,) = (one for one in exporter.get_finished_spans() if one.name == "batch.work")
    waits = [one for one in exporter.get_finished_spans() if one.name == "batch.wait"]
    first, second = found["caller.1"], found["caller.2"]
    assert first is not None
    assert second is not None
    assert first.trace_id != second.trace_id
    assert work.context is not None
    assert work.context.trace_id == first.trace_id
    assert {one.context.trace_id for one in work.links} == {first.trace_id, second.trace_id}
    assert {one.context.span_id for one in work.links} == {one.context.span_id for one in waits if one.context}


@pytest.mark.parametrize(("name", "value"), [("items", 0), ("waiting", 0), ("wait_s", -1.0)])
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"{name} is {value}"):
        BatchSettings(**{name: value})  # pyright: ignore[reportArgumentType] - as a file of settings might have it
