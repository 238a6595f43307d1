"""Streams of photos that say nothing for long give their places to others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import grpc
import pytest
from fakes.gateways import Served, make_gateway, make_photo, served

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.rpc.context import DEADLINE_MS
from glyphseek.rpc.wire_errors import FailedCall
from glyphseek_gateway.gateway import GatewaySettings
from glyphseek_gateway.limits import Limits

pytestmark = pytest.mark.timeout(60)


class Silence:
    """Photos of a stream, and then nothing until it `ends`."""

    def __init__(self, *requests: ingest.AddImagesRequest) -> None:
        self._requests = requests
        self.ends = threading.Event()

    def __iter__(self) -> Iterator[ingest.AddImagesRequest]:
        yield from self._requests
        self.ends.wait(50)


def serve(limits: Limits) -> Iterator[Served]:
    with served(make_gateway(settings=GatewaySettings(max_ingests=1, limits=limits))) as running:
        running.http.post("/v1/collections", json={"name": "signs"}).raise_for_status()
        yield running


@pytest.fixture
def impatient() -> Iterator[Served]:
    yield from serve(Limits(upload_idle_s=2.0))


@pytest.fixture
def patient() -> Iterator[Served]:
    yield from serve(Limits())


def add(red: int) -> ingest.AddImagesRequest:
    return ingest.AddImagesRequest(collection="signs", image_id=f"i{red}", content=make_photo(red))


def end_of(failed: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str]:
    call = cast(FailedCall, failed.value)
    return call.code(), call.details() or ""


def test_silent_streams_are_ended_and_their_places_are_free(impatient: Served) -> None:
    silences = [Silence(add(1)), Silence()]
    streams = [impatient.ingest.AddImages(iter(one)) for one in silences]  # without any deadline
    assert next(streams[0]).image_id == "i1"
    for stream in streams:
        with pytest.raises(grpc.RpcError) as failed:
            next(stream)
        code, reason = end_of(failed)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no photo arrived for 2 s" in reason
    for silence in silences:
        silence.ends.set()
    added = [one for red in (1, 2, 3) for one in impatient.ingest.AddImages(iter([add(red)]))]
    assert [one.outcome for one in added] == [
        ingest.AddImagesResponse.OUTCOME_UNCHANGED,
        ingest.AddImagesResponse.OUTCOME_ADDED,
        ingest.AddImagesResponse.OUTCOME_ADDED,
    ]


def test_a_silent_stream_is_not_waited_for_past_the_time_of_its_caller(patient: Served) -> None:
    silence = Silence(add(1))
    # The transport knows no deadline here, as behind the proxy of Ray Serve.
    stream = patient.ingest.AddImages(iter(silence), metadata=[(DEADLINE_MS, "5000")])
    assert next(stream).image_id == "i1"
    with pytest.raises(grpc.RpcError) as failed:
        next(stream)
    silence.ends.set()
    assert end_of(failed) == (grpc.StatusCode.DEADLINE_EXCEEDED, "the time that the caller gave is over")
