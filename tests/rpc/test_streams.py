import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import grpc
import pytest
from fakes.serving import served
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rpc.echo import EchoServicer, StreamServicer

from glyphseek.api.v1.ingest_service_pb2 import AddImagesRequest, AddImagesResponse
from glyphseek.errors import GlyphseekError, QueryError, ServiceUnavailable
from glyphseek.metrics import Metrics
from glyphseek.rpc.calls import Calls
from glyphseek.rpc.client import Client, StreamMethod
from glyphseek.rpc.context import call_bound, start_call
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.serving.guarding import GuardedCalls
from glyphseek.tracing import set_up_tracing, span

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(("last", "expected"), [("query", QueryError), ("bug", ServiceUnavailable)])
def test_an_error_ends_a_stream_after_the_answers_before_it(last: str, expected: type[GlyphseekError]) -> None:
    answers: list[str] = []
    with served_stream() as port, Client(Endpoint(host="127.0.0.1", port=port), service="stream") as client:
        requests = [AddImagesRequest(image_id=one) for one in ("a", "b", last, "c")]
        with pytest.raises(expected) as caught:
            answers.extend(one.image_id for one in client.stream(_add_images(client), requests, timeout_s=10.0))
    assert answers == ["a", "b"]
    assert "password" not in str(caught.value)


def test_a_stream_that_is_left_is_cancelled() -> None:
    def ask_for_ever() -> Iterator[AddImagesRequest]:
        while True:
            yield AddImagesRequest(image_id="a")

    with served_stream() as port, Client(Endpoint(host="127.0.0.1", port=port), service="stream") as client:
        answers = client.stream(_add_images(client), ask_for_ever(), timeout_s=30.0)
        assert next(answers).image_id == "a"
        answers.close()
        again = client.stream(_add_images(client), [AddImagesRequest(image_id="b")], timeout_s=10.0)
        assert [one.image_id for one in again] == ["b"]


@pytest.mark.parametrize("kind", [Calls, GuardedCalls])
def test_a_stream_whose_caller_leaves_while_an_answer_is_sent_ends_in_its_own_call(
    kind: type[Calls], caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    servicer = StreamServicer(kind("stream", metrics=metrics))
    with served_stream(servicer) as port, Client(Endpoint(host="127.0.0.1", port=port), service="stream") as client:
        for place in range(5):
            with call_bound(start_call(request_id=f"r-{place}")):
                requests = [AddImagesRequest(image_id=one) for one in ["a"] + 9 * ["large"]]
                answers = client.stream(_add_images(client), requests, timeout_s=30.0)
                assert next(answers).image_id == "a"
                answers.close()  # nobody reads what is on its way
            assert servicer.ended.get(timeout=20) == f"r-{place}"
        again = client.stream(_add_images(client), [AddImagesRequest(image_id="b")], timeout_s=10.0)
        assert [one.image_id for one in again] == ["b"]
    told = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert not [one.getMessage() for one in told if not one.name.startswith("grpc")]  # which may say it cannot send
    assert 'glyphseek_requests_in_flight{service="stream"} 0.0' in metrics.expose().decode()


def test_a_stream_is_a_span_of_its_callers_trace_and_what_happens_between_answers_is_not_part_of_it() -> None:
    exporter = InMemorySpanExporter()
    stop = set_up_tracing("test", exporter=exporter)
    with (
        served_stream() as port,
        Client(Endpoint(host="127.0.0.1", port=port), service="stream") as client,
        span("caller"),
    ):
        requests = [AddImagesRequest(image_id=one) for one in ("a", "b")]
        for one in client.stream(_add_images(client), requests, timeout_s=20.0):
            with span(f"between.{one.image_id}"):
                pass
    stop()
    names = {one.context.span_id: one.name for one in exporter.get_finished_spans() if one.context is not None}
    parents = {one.name: names[one.parent.span_id] for one in exporter.get_finished_spans() if one.parent is not None}
    assert parents == {
        "call.stream": "caller",
        "stream.AddImages": "call.stream",
        "between.a": "caller",
        "between.b": "caller",
    }


def _add_images(client: Client) -> StreamMethod[AddImagesRequest, AddImagesResponse]:
    return client.channel.stream_stream(
        "/glyphseek.test.Stream/AddImages",
        request_serializer=AddImagesRequest.SerializeToString,
        response_deserializer=AddImagesResponse.FromString,
    )  # pyright: ignore[reportReturnType]


@contextmanager
def served_stream(servicer: StreamServicer | None = None) -> Generator[int]:
    """Serve a `StreamServicer` beside another service; give the port."""
    stream = servicer or StreamServicer()
    service, echo, add_echo = EchoServicer().offer()

    def add_both(servicer: object, server: grpc.aio.Server) -> None:
        add_echo(servicer, server)
        handler = grpc.stream_stream_rpc_method_handler(
            stream.AddImages,
            request_deserializer=AddImagesRequest.FromString,
            response_serializer=AddImagesResponse.SerializeToString,
        )
        handlers = grpc.method_handlers_generic_handler("glyphseek.test.Stream", {"AddImages": handler})
        server.add_generic_rpc_handlers((handlers,))

    with served((service, echo, add_both)) as server:
        yield server.port
