import asyncio
import inspect
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
import pytest
from fakes.serving import served
from google.protobuf.empty_pb2 import Empty
from grpc import StatusCode
from rpc.echo import EchoServicer, Request, Response, StreamServicer

from glyphseek.api.v1 import reranker_service_pb2_grpc
from glyphseek.errors import (
    DeadlineExceeded,
    GlyphseekError,
    Overloaded,
    QueryError,
    ServiceUnavailable,
)
from glyphseek.metrics import Metrics
from glyphseek.rpc.calls import Calls, GrpcContext, translated
from glyphseek.rpc.client import Client
from glyphseek.rpc.context import CallContext, call_bound, start_call
from glyphseek.rpc.wire_errors import DETAILS_KEY

pytestmark = pytest.mark.timeout(60)


def _ask(client: Client, model: str = "", *, timeout_s: float = 10.0) -> Response:
    stub = reranker_service_pb2_grpc.RerankerServiceStub(client.channel)
    return client.call(stub.Rerank, Request(model=model, image_ids=["a", "b"]), timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("model", "expected", "message"),
    [("query", QueryError, "no closing quote: größer"), ("overload", Overloaded, "too much")],
)
def test_the_caller_gets_the_very_error_that_the_servicer_raised(
    model: str, expected: type[GlyphseekError], message: str
) -> None:
    with (
        served(EchoServicer().offer()) as server,
        Client(server.endpoint, service="echo") as client,
        pytest.raises(expected, match=message) as caught,
    ):
        _ask(client, model)
    if isinstance(caught.value, Overloaded):
        assert caught.value.retry_after_s == 2.5


@pytest.mark.parametrize("model", ["bug", "timeout"])
def test_an_error_nobody_raised_on_purpose_leaves_its_id_only(model: str, caplog: pytest.LogCaptureFixture) -> None:
    with (
        served(EchoServicer().offer()) as server,
        Client(server.endpoint, service="echo") as client,
        call_bound(start_call(request_id="r-17")),
        pytest.raises(ServiceUnavailable) as caught,
    ):
        _ask(client, model)
    assert str(caught.value) == "internal error, request id r-17"
    assert isinstance(caught.value.__cause__, grpc.Call)
    trailers = caught.value.__cause__.trailing_metadata() or ()
    assert not any(b"password" in (one if isinstance(one, bytes) else one.encode()) for _, one in trailers)
    assert "password of the store" in caplog.text  # the log has what the caller has not


def test_context_travels_from_caller_to_servicer() -> None:
    echo = EchoServicer()
    with served(echo.offer()) as server, Client(server.endpoint, service="echo") as client:
        with call_bound(start_call(request_id="r-17", timeout_s=7.0)):
            assert list(_ask(client, timeout_s=20.0).image_ids) == ["a", "b"]
        _ask(client, timeout_s=3.0)
    within, outside = (one.remaining_s() for one in echo.seen)
    assert echo.seen[0].request_id == "r-17"
    assert echo.seen[1].request_id != "r-17"
    assert within is not None
    assert outside is not None
    assert outside < within < 7.0


def test_work_is_cancelled_when_the_time_of_the_caller_is_over() -> None:
    echo = EchoServicer()
    with served(echo.offer()) as server, Client(server.endpoint, service="echo") as client:
        with pytest.raises(DeadlineExceeded):
            _ask(client, "slow", timeout_s=0.2)
        assert echo.ended.wait(10)


def test_a_call_leaves_one_line_and_its_counts(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    caplog.set_level(logging.INFO, logger="glyphseek.rpc.calls")
    with served(EchoServicer(metrics).offer()) as server, Client(server.endpoint, service="echo") as client:
        _ask(client)
        with pytest.raises(Overloaded):
            _ask(client, "overload")
    lines = [one.getMessage() for one in caplog.records if one.getMessage().startswith("call ")]
    assert [line.split(" ms=")[0] for line in lines] == [
        "call service=echo method=Rerank code=OK",
        "call service=echo method=Rerank code=RESOURCE_EXHAUSTED",
    ]
    assert lines[1].endswith("error=Overloaded reason='too much'")
    counted = metrics.expose().decode()
    assert 'glyphseek_requests_total{code="OK",method="Rerank",service="echo"} 1.0' in counted
    assert 'glyphseek_rejected_requests_total{method="Rerank",service="echo"} 1.0' in counted
    assert 'glyphseek_errors_total{kind="Overloaded",service="echo"} 1.0' in counted
    assert 'glyphseek_requests_in_flight{service="echo"} 0.0' in counted


@dataclass(slots=True)
class ServeContext:
    """What Ray Serve hands to a method: no `abort`, no deadline, and what is set is sent when the method returns."""

    metadata: tuple[tuple[str, str | bytes], ...] = ()
    code: StatusCode | None = None
    details: str = ""
    trailers: list[tuple[str, str | bytes]] = field(default_factory=list[tuple[str, str | bytes]])

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        return self.metadata

    def set_code(self, code: StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str | bytes]]) -> None:
        self.trailers = trailing_metadata


def test_behind_ray_serve_the_status_is_set_and_an_empty_message_answered() -> None:
    context = ServeContext()
    answer = asyncio.run(EchoServicer().Rerank(Request(model="overload"), context))
    assert answer == Empty()
    assert (context.code, context.details) == (StatusCode.RESOURCE_EXHAUSTED, "too much")
    assert [key for key, _ in context.trailers] == [DETAILS_KEY]


def test_behind_ray_serve_the_deadline_comes_from_metadata() -> None:
    context = ServeContext(metadata=(("x-glyphseek-deadline-ms", "50"),))
    asyncio.run(EchoServicer().Rerank(Request(model="slow"), context))
    assert context.code is StatusCode.DEADLINE_EXCEEDED


def test_a_call_whose_time_is_over_is_not_begun() -> None:
    echo, context = EchoServicer(), ServeContext(metadata=(("x-glyphseek-deadline-ms", "0"),))
    asyncio.run(echo.Rerank(Request(), context))
    assert context.code is StatusCode.DEADLINE_EXCEEDED
    assert echo.seen == []


def test_the_real_context_of_ray_serve_takes_what_is_set() -> None:
    pytest.importorskip("ray.serve.grpc_util", reason="Ray Serve is not installed")
    from ray.serve.grpc_util import RayServegRPCContext

    class Transport:
        """The context of grpc.aio that Serve's own is made from."""

        def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
            return (("x-request-id", "r-17"),)

        def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
            return (("request_id", "17"),)

        def auth_context(self) -> dict[str, str]:
            return {}

        def code(self) -> None:
            return None

        details = peer = peer_identities = peer_identity_key = code

    echo, context = EchoServicer(), RayServegRPCContext(Transport())  # pyright: ignore[reportArgumentType]
    asyncio.run(echo.Rerank(Request(model="query"), context))
    assert echo.seen == [CallContext(request_id="r-17")]
    assert context.code() is StatusCode.INVALID_ARGUMENT
    assert [key for key, _ in context.trailing_metadata()] == ["request_id", DETAILS_KEY]


def test_a_decorated_method_keeps_the_name_of_the_parameter_that_ray_serve_looks_for() -> None:
    assert "grpc_context" in inspect.signature(EchoServicer.Rerank).parameters
    assert "grpc_context" in inspect.signature(StreamServicer.AddImages).parameters


def test_a_caller_that_goes_away_is_counted_as_cancelled() -> None:
    metrics = Metrics()

    class Waiting:
        calls = Calls("waiting", metrics=metrics)

        @translated
        async def Rerank(self, request: Request, grpc_context: GrpcContext) -> Response:
            await asyncio.sleep(60)
            return Response()

    async def go_away() -> None:
        task = asyncio.create_task(Waiting().Rerank(Request(), ServeContext()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go_away())
    assert (
        'glyphseek_requests_total{code="CANCELLED",method="Rerank",service="waiting"} 1.0' in metrics.expose().decode()
    )
