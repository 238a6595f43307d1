"""Spans of a request across processes, by OpenTelemetry where it is set up; otherwise nothing happens, at no cost.

The context travels as W3C Trace Context: `traceparent`, https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from glyphseek.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link

_Attribute = str | int | float | bool


class _State:
    """What `set_up_tracing` made of this process."""

    provider: TracerProvider | None = None


def set_up_tracing(
    service: str, *, otlp_endpoint: str = "", exporter: SpanExporter | None = None
) -> Callable[[], None]:
    """Send this process' spans to an OTLP collector (`http://host:4317`), or to `exporter`; return what stops it.

    Without either nothing is set up. What stops it sends what is left. Raises MissingExtra.
    """
    if not otlp_endpoint and exporter is None:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ModuleNotFoundError as error:
        raise MissingExtra("traces need an extra: pip install 'glyphseek[serve]'") from error
    provider = TracerProvider(resource=Resource.create({"service.name": f"glyphseek-{service}"}))
    if exporter is None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    else:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    _State.provider = provider

    def stop() -> None:
        _State.provider = None
        provider.shutdown()

    return stop


def span(name: str, *, links: Sequence[str] = (), **attributes: _Attribute) -> AbstractContextManager[object]:
    """Measure the block as a span of the current trace, such as `search.recall`; an error that leaves it is noted.

    `links` are the traceparents of others that the block works for.
    """
    if _State.provider is None:
        return nullcontext()
    tracer = _State.provider.get_tracer("glyphseek")
    return tracer.start_as_current_span(name, attributes=attributes, links=_read_links(links))


@contextmanager
def span_beside(name: str, **attributes: _Attribute) -> Generator[str]:
    """Measure the block as a span without making it the current one, and yield what carries it to another process.

    For generators: whoever draws from one goes on in the span of its own.
    """
    if _State.provider is None:
        yield ""
        return
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    one = _State.provider.get_tracer("glyphseek").start_span(name, attributes=attributes)
    try:
        yield _write_traceparent(set_span_in_context(one))
    except Exception as error:
        one.record_exception(error)
        one.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        raise
    finally:
        one.end()


def current_traceparent() -> str:
    """Return what carries the current trace to another process, or the empty string."""
    return "" if _State.provider is None else _write_traceparent(None)


@contextmanager
def trace_continued(traceparent: str) -> Generator[None]:
    """Make the spans of the block parts of the trace that another process began; a wrong value begins a new one."""
    if _State.provider is None or not traceparent:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def _write_traceparent(context: Context | None) -> str:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, context)
    return carrier.get("traceparent", "")


def _read_links(traceparents: Sequence[str]) -> list[Link]:
    """Return links to those that can be read, each once."""
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    read = TraceContextTextMapPropagator().extract
    found = [get_current_span(read({"traceparent": one})).get_span_context() for one in dict.fromkeys(traceparents)]
    return [Link(one) for one in found if one.is_valid]
