import asyncio
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.errors import DeadlineExceeded
from glyphseek.rpc.context import (
    CallContext,
    call_bound,
    current_call,
    read_metadata,
    run_in,
    start_call,
    time_left,
    write_metadata,
)
from glyphseek.tracing import current_traceparent, set_up_tracing, span


def test_outside_of_a_call_there_is_no_context_and_no_deadline() -> None:
    assert current_call() is None
    assert time_left(2.0) == 2.0


def test_a_call_is_the_current_one_inside_its_block_only() -> None:
    with call_bound(start_call(request_id="r1")) as call:
        assert current_call() is call
    assert current_call() is None


def test_the_next_step_gets_what_is_left_when_that_is_less() -> None:
    with call_bound(start_call(timeout_s=10.0)):
        assert time_left(2.0) == 2.0
        assert 9.0 < time_left(60.0) <= 10.0


def test_nothing_is_begun_when_the_time_is_over() -> None:
    with call_bound(CallContext(request_id="r1", deadline=time.monotonic() - 0.01)), pytest.raises(DeadlineExceeded):
        time_left(2.0)


@pytest.mark.parametrize("timeout_s", [None, float("inf"), float("nan"), 1e9])
def test_a_deadline_that_is_none_is_none(timeout_s: float | None) -> None:
    assert start_call(timeout_s=timeout_s).remaining_s() is None


@pytest.mark.parametrize("request_id", ["", "a" * 65, "a b", "line\nbreak", "ü"])
def test_a_request_id_of_another_form_is_replaced(request_id: str) -> None:
    found = start_call(request_id=request_id).request_id
    assert len(found) == 32
    assert found != start_call(request_id=request_id).request_id


def test_context_survives_the_wire() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with call_bound(start_call(request_id="r1", timeout_s=9.0, traceparent=traceparent)):
        found = read_metadata(write_metadata(1.5))
    assert (found.request_id, found.traceparent) == ("r1", traceparent)
    left_s = found.remaining_s()
    assert left_s is not None
    assert 1.0 < left_s <= 1.5


def test_the_shorter_of_the_two_deadlines_counts() -> None:
    found = read_metadata([("X-Glyphseek-Deadline-Ms", "9000")], transport_timeout_s=1.0).remaining_s()
    assert found is not None
    assert found <= 1.0


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", b"100"])
def test_a_deadline_that_cannot_be_read_is_left_out(value: str | bytes) -> None:
    assert read_metadata([("x-glyphseek-deadline-ms", value)]).remaining_s() is None


def test_a_deadline_below_zero_is_over() -> None:
    found = read_metadata([("x-glyphseek-deadline-ms", "-1")]).remaining_s()
    assert found is not None
    assert found < 0


def test_a_caller_who_sends_nothing_gets_an_id() -> None:
    found = read_metadata(None)
    assert len(found.request_id) == 32
    assert found.remaining_s() is None


def test_blocking_work_in_a_thread_is_within_the_call() -> None:
    async def ask() -> CallContext | None:
        with ThreadPoolExecutor(1) as pool, call_bound(start_call(request_id="r1")):
            return await run_in(pool, current_call)

    found = asyncio.run(ask())
    assert found is not None
    assert found.request_id == "r1"


@pytest.fixture
def spans() -> Generator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = set_up_tracing("test", exporter=exporter)
    yield exporter
    stop()


def _parents_of(spans: InMemorySpanExporter) -> dict[str, str]:
    """Return for each span that has ended the name of the one it is part of."""
    ended = spans.get_finished_spans()
    names = {one.context.span_id: one.name for one in ended if one.context is not None}
    return {one.name: names[one.parent.span_id] for one in ended if one.parent is not None}


def test_spans_of_the_callee_belong_to_the_trace_of_the_caller(spans: InMemorySpanExporter) -> None:
    with span("caller"):
        sent = write_metadata(1.0)
        assert dict(sent)["traceparent"] == current_traceparent()
    with call_bound(read_metadata(sent)), span("callee"):
        pass
    assert _parents_of(spans) == {"callee": "caller"}


def test_a_step_with_a_shorter_deadline_stays_inside_its_span(spans: InMemorySpanExporter) -> None:
    with span("caller"):
        sent = write_metadata(1.0)
    call = read_metadata(sent)
    soon = replace(call, deadline=time.monotonic() + 0.5)
    with call_bound(call), span("stage"), call_bound(soon), span("step"):
        pass
    assert _parents_of(spans) == {"stage": "caller", "step": "stage"}
