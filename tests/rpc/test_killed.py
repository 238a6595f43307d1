import os
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rpc.echo import Request, Response

from glyphseek.api.v1 import reranker_service_pb2_grpc
from glyphseek.errors import ServiceUnavailable
from glyphseek.rpc.client import Client, ClientSettings
from glyphseek.rpc.endpoint import Endpoint

pytestmark = pytest.mark.timeout(90)
TESTS = Path(__file__).parents[1]
PATIENT = ClientSettings(attempts=50, first_wait_s=0.05)
Start = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start() -> Generator[Start]:
    """Return what starts a server process and waits until it listens; all are killed afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int = 0, *flags: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "rpc.echo_process", str(port), *flags]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert started[-1].stdout is not None
        return started[-1], int(started[-1].stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def _ask(client: Client, *, is_idempotent: bool = True) -> Response:
    stub = reranker_service_pb2_grpc.RerankerServiceStub(client.channel)
    request = Request(model="wait", image_ids=["a"])
    return client.call(stub.Rerank, request, timeout_s=60.0, is_idempotent=is_idempotent)


def test_a_call_in_flight_is_answered_by_the_next_process_after_its_server_was_killed(start: Start) -> None:
    first, port = start()
    endpoint = Endpoint(host="127.0.0.1", port=port)
    with Client(endpoint, service="echo", settings=PATIENT) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask, client)
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.5)
        first.kill()
        first.wait()
        start(port, "answers")
        assert list(answer.result(timeout=60).image_ids) == ["a"]


def test_a_call_that_may_not_be_made_twice_is_told_that_its_server_is_gone(start: Start) -> None:
    process, port = start()
    with Client(Endpoint(host="127.0.0.1", port=port), service="echo") as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask, client, is_idempotent=False)
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.5)
        process.kill()
        with pytest.raises(ServiceUnavailable, match=f"echo 127.0.0.1:{port} cannot be reached"):
            answer.result(timeout=60)
