from __future__ import annotations

import time

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.contexts import ContextThreads
from glyphseek.deadlines import deadline_bound, is_time_over
from glyphseek.tracing import set_up_tracing, span


def look(_: int) -> bool:
    return is_time_over()


def test_work_in_threads_has_the_deadline_of_who_gave_it_and_the_next_work_has_not() -> None:
    with ContextThreads(1) as threads:
        with deadline_bound(time.monotonic() - 1):
            assert threads.submit(is_time_over).result(10)
            assert list(threads.map(look, range(2))) == [True, True]
        assert not threads.submit(is_time_over).result(10)


def test_spans_of_work_in_threads_are_parts_of_the_trace() -> None:
    exporter = InMemorySpanExporter()
    stop = set_up_tracing("test", exporter=exporter)

    def work(_: int) -> None:
        with span("work"):
            pass

    with ContextThreads(4) as threads, span("whole"):
        list(threads.map(work, range(8)))
    stop()
    *parts, whole = exporter.get_finished_spans()
    assert len(parts) == 8
    for one in parts:
        assert one.parent is not None
        assert whole.context is not None
        assert one.parent.span_id == whole.context.span_id
