from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glyphseek.tracing import current_traceparent, set_up_tracing, span, span_beside, trace_continued


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


def test_a_span_may_be_linked_to_others_that_it_works_for(exporter: InMemorySpanExporter) -> None:
    callers: list[str] = []
    for _ in range(2):
        with span("caller"):
            callers.append(current_traceparent())
    with span("batch", links=[*callers, callers[0], "nonsense", ""]):
        pass
    *others, batch = exporter.get_finished_spans()
    assert [(one.context.trace_id, one.context.span_id) for one in batch.links] == [ids(one) for one in others]


def test_a_span_beside_measures_a_block_that_goes_on_in_its_own_trace(exporter: InMemorySpanExporter) -> None:
    with span("outer"):
        with span_beside("beside", rows=2) as carried, span("within"):
            pass
        with trace_continued(carried), span("elsewhere"):
            pass
    within, beside, elsewhere, outer = exporter.get_finished_spans()
    parents = [one.parent.span_id for one in (within, beside, elsewhere) if one.parent is not None]
    assert parents == [ids(outer)[1], ids(outer)[1], ids(beside)[1]]


def test_a_span_beside_notes_an_error_and_not_that_it_was_left(exporter: InMemorySpanExporter) -> None:
    def draw(error: Exception | None) -> Iterator[int]:
        with span_beside("drawn"):
            yield 1
            if error is not None:
                raise error

    drawn = draw(None)
    next(drawn)
    drawn.close()  # pyright: ignore[reportAttributeAccessIssue] - it is a generator
    with pytest.raises(ValueError, match="odd"):
        list(draw(ValueError("odd")))
    left, failed = exporter.get_finished_spans()
    assert (left.status.status_code.name, failed.status.status_code.name) == ("UNSET", "ERROR")
    assert failed.events[0].name == "exception"


def test_without_a_set_up_nothing_is_carried_and_blocks_just_run() -> None:
    stop = set_up_tracing("gateway")
    with span("search", links=["x"]), trace_continued("00-" + "1" * 32 + "-" + "2" * 16 + "-01"):
        assert current_traceparent() == ""
    with span_beside("search") as carried:
        assert carried == ""
    stop()
