from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.tracing import current_traceparent, set_up_tracing, span, trace_continued


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    memory = InMemorySpanExporter()
    stop = set_up_tracing("gateway", exporter=memory)
    yield memory
    stop()


def ids(one: ReadableSpan) -> tuple[int, int]:
    context = one.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def test_spans_inside_a_span_are_its_children(exporter: InMemorySpanExporter) -> None:
    with span("search", collection="c"), span("search.recall", rows=3):
        pass
    inner, outer = exporter.get_finished_spans()
    assert (outer.name, inner.name) == ("search", "search.recall")
    assert inner.parent is not None
    assert inner.parent.span_id == ids(outer)[1]
    assert dict(inner.attributes or {}) == {"rows": 3}
    assert outer.resource.attributes["service.name"] == "glyphseek-gateway"


def test_a_trace_goes_on_in_another_process(exporter: InMemorySpanExporter) -> None:
    with span("gateway"):
        carried = current_traceparent()
    with trace_continued(carried), span("reranker"):
        pass
    first, second = exporter.get_finished_spans()
    assert ids(first)[0] == ids(second)[0]
    assert second.parent is not None
    assert second.parent.span_id == ids(first)[1]


@pytest.mark.parametrize("wrong", ["", "nonsense", "00-0-0-00"])
def test_a_wrong_context_begins_a_new_trace(exporter: InMemorySpanExporter, wrong: str) -> None:
    with trace_continued(wrong), span("alone"):
        pass
    (one,) = exporter.get_finished_spans()
    assert one.parent is None


def test_an_error_is_noted_and_goes_on(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="odd"), span("failing"):
        raise ValueError("odd")
    (one,) = exporter.get_finished_spans()
    assert not one.status.is_ok
    assert one.events[0].name == "exception"


def test_without_a_set_up_nothing_is_carried_and_blocks_just_run() -> None:
    stop = set_up_tracing("gateway")
    with span("search"), trace_continued("00-" + "1" * 32 + "-" + "2" * 16 + "-01"):
        assert current_traceparent() == ""
    stop()
