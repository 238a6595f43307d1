"""How much work is taken on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.errors import DeadlineExceeded, Overloaded, QueryError, SettingError
from glyphseek.metrics import Metrics
from glyphseek.rpc.admission import Admission

METRICS = Metrics()
NAME: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.fixture
def admission() -> Iterator[Admission]:
    """One at once, one waiting."""
    admission = Admission("searches", at_once=1, waiting=1, queue=METRICS.queue("searches"))
    yield admission
    admission.close()


def test_past_the_bound_a_request_is_refused_with_the_limit_and_a_time(admission: Admission) -> None:
    with (
        admission.place(),
        admission.place(),
        pytest.raises(Overloaded, match="2 searches are running or waiting, the limit is 2") as told,
        admission.place(),
    ):
        raise AssertionError("a third place was given")
    assert 1 <= told.value.retry_after_s <= 30


def test_a_place_is_free_again_when_its_block_ends(admission: Admission) -> None:
    for _ in range(5):
        with admission.place(), admission.place():
            assert admission.held == 2
    assert admission.held == 0


def test_a_place_is_free_again_when_its_block_fails(admission: Admission) -> None:
    with pytest.raises(QueryError), admission.place():
        raise QueryError("what is that")
    assert admission.held == 0


def test_work_runs_elsewhere_within_the_callers_context(admission: Admission) -> None:
    async def run() -> tuple[str, str]:
        NAME.set("somebody")
        with admission.place() as place:
            return await place.run(lambda: (NAME.get(), threading.current_thread().name))

    name, thread = asyncio.run(run())
    assert name == "somebody"
    assert thread.startswith("searches")


def test_what_work_raises_is_raised(admission: Admission) -> None:
    async def run() -> None:
        with admission.place() as place:
            await place.run(_fail)

    with pytest.raises(QueryError, match="what is that"):
        asyncio.run(run())


def test_at_the_deadline_the_caller_goes_and_the_work_keeps_its_place_to_its_end(admission: Admission) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(20)

    async def run() -> None:
        with admission.place() as place:
            await place.run(work, deadline=time.monotonic() + 0.05)

    while not began.is_set():  # on a busy machine the deadline may pass before
        _wait_until_free(admission)
        with pytest.raises(DeadlineExceeded):
            asyncio.run(run())
    assert admission.held == 1
    may_end.set()
    _wait_until_free(admission)


def test_work_that_has_not_begun_by_the_deadline_never_does(admission: Admission) -> None:
    may_end, began = threading.Event(), threading.Event()

    async def run() -> None:
        with admission.place() as first, admission.place() as second:
            blocking = asyncio.ensure_future(first.run(lambda: may_end.wait(20)))
            await asyncio.sleep(0)  # so that it begins first
            with pytest.raises(DeadlineExceeded):
                await second.run(began.set, deadline=time.monotonic() + 0.05)
            may_end.set()
            await blocking

    asyncio.run(run())
    _wait_until_free(admission)
    assert not began.is_set()


def test_what_waits_and_what_runs_is_counted_and_how_long_it_waited() -> None:
    now, metrics = [0.0], Metrics()
    admission = Admission("searches", at_once=1, waiting=2, queue=metrics.queue("test"), clock=lambda: now[0])
    began, may_end = threading.Event(), threading.Event()

    def block() -> None:
        began.set()
        may_end.wait(20)

    async def run() -> None:
        with admission.place() as first, admission.place() as second, admission.place() as third:
            running = asyncio.ensure_future(first.run(block))
            await asyncio.to_thread(began.wait, 20)
            waiting = asyncio.ensure_future(second.run(lambda: None))
            leaving = asyncio.ensure_future(third.run(lambda: None))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert count(metrics) == (1, 2, 1, 0.0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert count(metrics) == (1, 1, 1, 0.0)
            now[0] = 5.0
            may_end.set()
            await asyncio.gather(running, waiting)

    asyncio.run(run())
    admission.close()
    assert count(metrics) == (0, 0, 2, 5.0)


def count(metrics: Metrics) -> tuple[float, ...]:
    """Return what runs, what waits, how many have begun, and how long these waited."""
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
        if sample.labels.get("service") == "test"
    }
    names = ("running_items", "queue_items", "queue_seconds_count", "queue_seconds_sum")
    return tuple(found[f"glyphseek_{name}"] for name in names)


def test_work_past_its_deadline_is_refused_at_once(admission: Admission) -> None:
    began = threading.Event()

    async def run() -> None:
        with admission.place() as place:
            await place.run(began.set, deadline=time.monotonic() - 1)

    with pytest.raises(DeadlineExceeded):
        asyncio.run(run())
    _wait_until_free(admission)
    assert not began.is_set()


def test_a_caller_that_goes_away_leaves_no_place_taken(admission: Admission) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(20)

    async def ask() -> None:
        with admission.place() as place:
            await place.run(work)

    async def run() -> None:
        asking = asyncio.ensure_future(ask())
        assert await asyncio.to_thread(began.wait, 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_end.set()

    asyncio.run(run())
    _wait_until_free(admission)


def test_never_more_run_at_once_than_the_bound() -> None:
    admission = Admission("searches", at_once=3, waiting=97)
    running, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1

    async def ask() -> None:
        with admission.place() as place:
            await place.run(work)

    async def run() -> None:
        await asyncio.gather(*(ask() for _ in range(100)))

    asyncio.run(run())
    admission.close()
    assert most[0] == 3
    assert admission.held == 0


@pytest.mark.parametrize(("at_once", "waiting"), [(0, 1), (1, -1)])
def test_impossible_bounds_are_refused(at_once: int, waiting: int) -> None:
    with pytest.raises(SettingError):
        Admission("searches", at_once=at_once, waiting=waiting)


def _fail() -> None:
    raise QueryError("what is that")


def _wait_until_free(admission: Admission) -> None:
    end = time.monotonic() + 10
    while admission.held and time.monotonic() < end:
        time.sleep(0.005)
    assert admission.held == 0
