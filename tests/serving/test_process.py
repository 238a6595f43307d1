"""A service as a plain process of its own, started as a user starts it."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from integration.servers import find_free_ports

from glyphseek.config import environment_with
from glyphseek.errors import ServiceUnavailable
from glyphseek.rpc.client import Client
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health
from glyphseek.rpc.remote import list_models
from glyphseek.serving.process import run_process
from glyphseek_encoder.assembling import SERVICE, assemble

pytestmark = pytest.mark.timeout(150)


@contextmanager
def _started(port: int, **values: str) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        (sys.executable, "-m", "glyphseek_encoder", "--port", str(port)),
        env=environment_with({"OMP_NUM_THREADS": "1", "GLYPHSEEK_METRICS_PORT": "0", **values}),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _read_until(process: subprocess.Popen[str], event: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if event in line:
            return
    raise AssertionError(f"it ended without {event!r}")


def test_it_serves_its_models_without_a_store_and_ends_with_zero_on_sigterm() -> None:
    port = find_free_ports(1)
    with _started(port, GLYPHSEEK_MODELS="tdsl-small", GLYPHSEEK_S3_ENDPOINT="http://127.0.0.1:9") as process:
        _read_until(process, "listening")
        with Client(Endpoint(host="127.0.0.1", port=port), service="encoder") as client:
            assert [card.name for card in list_models(client, timeout_s=20.0)] == ["glyphseek/tdsl-small"]
            check_health(client, timeout_s=20.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with (
            Client(Endpoint(host="127.0.0.1", port=port), service="encoder") as client,
            pytest.raises(ServiceUnavailable, match="cannot be reached"),
        ):
            check_health(client, timeout_s=5.0)


def test_a_wrong_configuration_ends_with_two_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLYPHSEEK_ENCODER", "nowhere")
    assert run_process(SERVICE, assemble, lambda config: config.encoder, []) == 2
    assert capsys.readouterr().err == (
        "error: the address is 'nowhere', it must be host:port or host:port/application\n"
    )
