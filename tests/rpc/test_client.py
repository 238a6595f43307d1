from collections.abc import Sequence
from threading import Timer

import grpc
import pytest
from fakes.serving import ServerThread, served
from grpc import StatusCode
from rpc.echo import EchoServicer, Request, Response

from glyphseek.api.v1 import reranker_service_pb2_grpc
from glyphseek.errors import DeadlineExceeded, InputError, Overloaded, ServiceUnavailable, SettingError
from glyphseek.rpc.client import Client, ClientSettings, UnaryMethod
from glyphseek.rpc.context import CallContext, call_bound, start_call
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health
from glyphseek.rpc.server import ServerSettings

pytestmark = pytest.mark.timeout(60)
NOWHERE = Endpoint(host="127.0.0.1", port=9, application="reranker")


class Lost(grpc.RpcError):
    """A call that ended on the way."""

    def __init__(self, code: StatusCode) -> None:
        self._code = code

    def code(self) -> StatusCode:
        return self._code

    def details(self) -> str:
        return "lost on the way"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Method:
    """An rpc that is lost as often as it is told, then answers."""

    def __init__(self, *codes: StatusCode) -> None:
        self._codes = list(codes)
        self.timeouts: list[float] = []
        self.metadata: list[dict[str, str]] = []

    def __call__(self, request: str, *, timeout: float, metadata: Sequence[tuple[str, str]]) -> str:
        self.timeouts.append(timeout)
        self.metadata.append(dict(metadata))
        if self._codes:
            raise Lost(self._codes.pop(0))
        return request


def _client(waited: list[float] | None = None, **settings: int) -> Client:
    sleep = (waited if waited is not None else []).append
    return Client(NOWHERE, service="reranker", settings=ClientSettings(**settings), sleep=sleep, chance=lambda: 0.0)


@pytest.mark.parametrize(
    "code", [StatusCode.UNAVAILABLE, StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.CANCELLED]
)
def test_a_call_that_got_lost_is_made_again(code: StatusCode) -> None:
    waited: list[float] = []
    method = Method(code, code)
    with _client(waited) as client:
        assert client.call(method, "answer", timeout_s=5.0) == "answer"
    assert waited == [0.02, 0.04]
    assert method.timeouts == sorted(method.timeouts, reverse=True)  # each attempt has what the ones before left


def test_attempts_are_bounded_and_the_error_names_the_address() -> None:
    method = Method(*[StatusCode.UNAVAILABLE] * 9)
    with _client() as client, pytest.raises(ServiceUnavailable, match=r"reranker 127\.0\.0\.1:9/reranker"):
        client.call(method, "answer", timeout_s=5.0)
    assert len(method.timeouts) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [(StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded), (StatusCode.RESOURCE_EXHAUSTED, Overloaded)],
)
def test_what_is_no_loss_is_not_tried_again(code: StatusCode, expected: type[Exception]) -> None:
    method = Method(code)
    with _client() as client, pytest.raises(expected):
        client.call(method, "answer", timeout_s=5.0)
    assert len(method.timeouts) == 1


def test_waits_grow_to_a_second_and_no_further() -> None:
    waited: list[float] = []
    with _client(waited, attempts=9) as client:
        client.call(Method(*[StatusCode.UNAVAILABLE] * 8), "answer", timeout_s=60.0)
    assert waited == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


def test_what_may_not_be_done_twice_is_not_tried_again() -> None:
    method = Method(StatusCode.UNAVAILABLE)
    with _client() as client, pytest.raises(ServiceUnavailable):
        client.call(method, "answer", timeout_s=5.0, is_idempotent=False)
    assert len(method.timeouts) == 1


def test_no_attempt_is_begun_that_would_end_past_the_deadline() -> None:
    method = Method(*[StatusCode.UNAVAILABLE] * 9)
    with _client(attempts=9) as client, pytest.raises(ServiceUnavailable):
        client.call(method, "answer", timeout_s=0.01)
    assert len(method.timeouts) == 1


def test_the_call_that_this_one_is_part_of_bounds_it() -> None:
    method = Method()
    with _client() as client, call_bound(start_call(request_id="r-17", timeout_s=1.0)):
        client.call(method, "answer", timeout_s=30.0)
    assert method.timeouts[0] <= 1.0
    assert int(method.metadata[0]["x-glyphseek-deadline-ms"]) <= 1000
    assert method.metadata[0]["x-request-id"] == "r-17"
    assert method.metadata[0]["application"] == "reranker"


def test_credentials_go_with_every_call_and_into_no_log(caplog: pytest.LogCaptureFixture) -> None:
    method = Method(StatusCode.UNAVAILABLE)
    with Client(NOWHERE, service="gateway", credentials=[("authorization", "Bearer s3cret")]) as client:
        client.call(method, "answer", timeout_s=5.0)
        with pytest.raises(Overloaded):
            client.call(Method(StatusCode.RESOURCE_EXHAUSTED), "answer", timeout_s=5.0)
    assert [one["authorization"] for one in method.metadata] == ["Bearer s3cret"] * 2
    assert "gateway" in caplog.text
    assert "s3cret" not in caplog.text


def test_nothing_is_sent_when_the_time_is_over() -> None:
    method = Method()
    with _client() as client, call_bound(CallContext(request_id="r", deadline=0.0)), pytest.raises(DeadlineExceeded):
        client.call(method, "answer", timeout_s=30.0)
    assert method.timeouts == []


@pytest.mark.parametrize("name", ["max_message_bytes", "attempts", "keepalive_s"])
def test_impossible_settings_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        ClientSettings(**{name: 0})


def test_a_server_that_is_not_there_is_found_out_at_once() -> None:
    with (
        Client(Endpoint(host="127.0.0.1", port=9), service="echo") as client,
        pytest.raises(ServiceUnavailable, match=r"echo 127\.0\.0\.1:9 cannot be reached"),
    ):
        _ask(client)


def test_a_server_that_comes_back_is_found_again() -> None:
    first = ServerThread(EchoServicer().offer())
    with Client(first.endpoint, service="echo", settings=ClientSettings(attempts=50)) as client:
        try:
            _ask(client)
        finally:
            first.stop()
        with pytest.raises(ServiceUnavailable):
            client.call(_method(client), Request(), timeout_s=5.0, is_idempotent=False)
        back: list[ServerThread] = []
        settings = ServerSettings(port=first.port, drain_s=0.2)
        timer = Timer(0.3, lambda: back.append(ServerThread(EchoServicer().offer(), settings=settings)))
        timer.start()
        try:
            assert list(_ask(client, timeout_s=20.0).image_ids) == ["a"]
        finally:
            timer.join()
            for one in back:
                one.stop()


def test_a_request_past_the_bound_of_the_server_is_the_callers_to_mend() -> None:
    settings = ServerSettings(max_message_bytes=1000, drain_s=0.2)
    with (
        served(EchoServicer().offer(), settings=settings) as server,
        Client(server.endpoint, service="echo") as client,
        pytest.raises(InputError, match="larger than max"),
    ):
        client.call(_method(client), Request(image_ids=["a" * 2000]), timeout_s=5.0)


def test_health_is_asked_of_a_service() -> None:
    with served(EchoServicer().offer()) as server, Client(server.endpoint, service="echo") as client:
        check_health(client, timeout_s=5.0)
        server.run(server.server.set_ready(False))
        with pytest.raises(ServiceUnavailable, match="is not ready"):
            check_health(client, timeout_s=5.0)


def _method(client: Client) -> UnaryMethod[Request, Response]:
    return reranker_service_pb2_grpc.RerankerServiceStub(client.channel).Rerank


def _ask(client: Client, *, timeout_s: float = 10.0) -> Response:
    return client.call(_method(client), Request(image_ids=["a"]), timeout_s=timeout_s)
