import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import grpc
import pytest
from fakes.serving import served
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from rpc.echo import EchoServicer, Request, Response

from glyphseek.api.v1 import reranker_service_pb2, reranker_service_pb2_grpc
from glyphseek.errors import Overloaded, SettingError
from glyphseek.rpc.calls import Calls, GrpcContext
from glyphseek.rpc.client import Client
from glyphseek.rpc.server import Server, ServerSettings

pytestmark = pytest.mark.timeout(60)
SERVICE = "glyphseek.api.v1.RerankerService"


def test_a_servicer_that_could_leak_is_refused() -> None:
    class Leaking:
        calls = Calls("leaking")

        async def Rerank(self, request: Request, grpc_context: GrpcContext) -> Response:
            return Response()

    async def add() -> None:
        service = reranker_service_pb2.DESCRIPTOR.services_by_name["RerankerService"]
        Server().add(service, Leaking(), reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server)

    with pytest.raises(SettingError, match=r"Leaking\.Rerank is not translated"):
        asyncio.run(add())


def test_a_taken_port_is_named() -> None:
    async def start(port: int) -> None:
        server = Server(ServerSettings(port=port))
        try:
            await server.start()
        finally:
            await server.stop()

    with served(EchoServicer().offer()) as server, pytest.raises(SettingError, match=f"127.0.0.1:{server.port}"):
        asyncio.run(start(server.port))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("port", lambda: ServerSettings(port=70_000)),
        ("max_message_bytes", lambda: ServerSettings(max_message_bytes=0)),
        ("max_calls", lambda: ServerSettings(max_calls=0)),
        ("connection_age_s", lambda: ServerSettings(connection_age_s=0)),
    ],
)
def test_impossible_settings_are_refused(name: str, make: Callable[[], ServerSettings]) -> None:
    with pytest.raises(SettingError, match=name):
        make()


def test_health_speaks_of_each_service_and_of_the_whole() -> None:
    with served(EchoServicer().offer()) as server, grpc.insecure_channel(server.endpoint.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            assert _health_of(stub, service) == "SERVING"
        server.run(server.server.set_ready(False))
        assert _health_of(stub, SERVICE) == "NOT_SERVING"


def test_reflection_lists_the_services() -> None:
    with served(EchoServicer().offer()) as server, grpc.insecure_channel(server.endpoint.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(cast(Any, stub).ServerReflectionInfo(iter([request]))))
    assert SERVICE in [one.name for one in answer.list_services_response.service]


def test_more_calls_than_the_settings_allow_are_refused_and_the_others_answered() -> None:
    echo = EchoServicer()
    with (
        served(echo.offer(), settings=ServerSettings(max_calls=1, drain_s=0.2)) as server,
        Client(server.endpoint, service="echo") as client,
    ):
        answers: list[list[str]] = []
        first = threading.Thread(target=lambda: answers.append(_ask(client, "wait")))
        first.start()
        _wait_for_call(echo)
        with pytest.raises(Overloaded, match="echo"):
            _ask(client)
        server.run(_set(echo.open))
        first.join()
    assert answers == [["a"]]


def test_calls_in_flight_end_before_the_server_does() -> None:
    echo = EchoServicer()
    with (
        served(echo.offer(), settings=ServerSettings(drain_s=20.0)) as server,
        Client(server.endpoint, service="echo") as client,
    ):
        answers: list[list[str]] = []
        first = threading.Thread(target=lambda: answers.append(_ask(client, "wait")))
        first.start()
        _wait_for_call(echo)
        stopping = threading.Thread(target=lambda: server.run(server.server.stop()))
        stopping.start()
        server.run(_set(echo.open))
        stopping.join()
        first.join()
    assert answers == [["a"]]


def _health_of(stub: health_pb2_grpc.HealthStub, service: str) -> str:
    answer = cast(Any, stub).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def _wait_for_call(echo: EchoServicer) -> None:
    while not echo.seen:
        time.sleep(0.005)


async def _set(event: asyncio.Event) -> None:
    event.set()


def _ask(client: Client, model: str = "") -> list[str]:
    stub = reranker_service_pb2_grpc.RerankerServiceStub(client.channel)
    return list(client.call(stub.Rerank, Request(model=model, image_ids=["a"]), timeout_s=20.0).image_ids)
