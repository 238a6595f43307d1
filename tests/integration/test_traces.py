"""One search, one trace: gateway, encoder and matcher as processes over real stores, and a collector of their spans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from fakes.gateways import make_photo
from google.protobuf.message import Message
from integration.servers import die_with_parent, find_free_ports, shared_minio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from glyphseek.config import Config
from glyphseek.features.s3.buckets import make_bucket

TESTS = Path(__file__).parents[1]
STARTS_S = 90.0

pytestmark = pytest.mark.deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A span as a collector gets it; ids are bytes, and `parent_id` of a root is empty."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, str]


class Collector(TraceServiceServicer):
    """Keeps the spans that processes send over OTLP."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def Export(self, request: Message, context: grpc.ServicerContext) -> otlp.ExportTraceServiceResponse:
        assert isinstance(request, otlp.ExportTraceServiceRequest)
        for sent in request.resource_spans:
            (service,) = (one.value.string_value for one in sent.resource.attributes if one.key == "service.name")
            for scope in sent.scope_spans:
                self.seen += [
                    Seen(
                        service=service.removeprefix("glyphseek-"),
                        name=one.name,
                        trace_id=one.trace_id,
                        span_id=one.span_id,
                        parent_id=one.parent_span_id,
                        attributes={each.key: each.value.string_value for each in one.attributes},
                    )
                    for one in scope.spans
                ]
        return otlp.ExportTraceServiceResponse()


@contextmanager
def collecting() -> Generator[tuple[Collector, int]]:
    """Collect spans inside the block, at a port of loopback."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, port
    finally:
        server.stop(None).wait()


@contextmanager
def process(module: str, *arguments: str, config: Path) -> Generator[None]:
    """Run a service inside the block; at its end it is told to end, which sends the spans that are left."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "shared"), str(TESTS.parent / "services")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLYPHSEEK_")}
    with config.with_suffix(".log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            preexec_fn=die_with_parent,
        )
    try:
        yield
        running.terminate()
        assert running.wait(40) == 0
    finally:
        running.kill()
        running.wait()


@pytest.fixture
def config() -> Config:
    s3 = make_s3_settings(found(shared_minio))
    make_bucket(s3)
    milvus = milvus_uri()
    first = find_free_ports(5)
    return Config(
        milvus_uri=milvus,
        milvus_index="FLAT",
        milvus_timeout_s=30,
        s3_endpoint=s3.endpoint,
        s3_bucket=s3.bucket,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        models=("words",),
        encoder=f"127.0.0.1:{first}",
        reranker=f"127.0.0.1:{first + 1}",
        matcher=f"127.0.0.1:{first + 2}",
        http_port=first + 3,
        grpc_port=first + 4,
        metrics_port=0,
        deadline_s=60,
        encode_s=30,
        match_s=30,
    )


@pytest.mark.timeout(300)
def test_a_request_is_one_trace_through_all_processes_and_stores(config: Config, tmp_path: Path) -> None:
    traces = {what: os.urandom(16).hex() for what in ("add", "search")}
    with collecting() as (collector, port):
        file = write_config(tmp_path, config, otlp_endpoint=f"http://127.0.0.1:{port}")
        with ExitStack() as running:
            for service in ("encoder", "matcher"):
                running.enter_context(process("integration.traced_process", service, config=file))
            running.enter_context(process("glyphseek_gateway", config=file))
            with httpx.Client(base_url=f"http://127.0.0.1:{config.http_port}", timeout=60) as http:
                add_and_search(http, traces)
    added, searched = ([one for one in collector.seen if one.trace_id.hex() == traces[what]] for what in traces)
    assert {
        ("gateway", "call.encoder"),
        ("encoder", "encoder.EncodeImages"),
        ("encoder", "images.encode"),
        ("encoder", "s3.put"),
        ("gateway", "s3.put"),
        ("gateway", "milvus.write"),
    } <= {(one.service, one.name) for one in added}
    assert {
        ("gateway", "search.encode"),
        ("gateway", "call.encoder"),
        ("encoder", "encoder.EncodeQueries"),
        ("encoder", "batch.wait"),
        ("encoder", "batch.work"),
        ("gateway", "search.recall"),
        ("gateway", "milvus.search"),
        ("gateway", "call.matcher"),
        ("matcher", "matcher.Match"),
        ("matcher", "blobs.fetch"),
        ("matcher", "s3.get"),
    } <= {(one.service, one.name) for one in searched}
    for spans in (added, searched):
        assert_whole(spans)
    parents = {one.name: name_of(searched, one.parent_id) for one in searched if one.name.startswith(("milvus", "b"))}
    assert (parents["milvus.search"], parents["batch.work"]) == ("search.recall", "batch.wait")


def write_config(folder: Path, config: Config, **others: object) -> Path:
    file = folder / "config.json"
    values = {name.removeprefix("GLYPHSEEK_").lower(): value for name, value in config.as_environment().items()}
    file.write_text(json.dumps({**values, **others}))
    return file


def add_and_search(http: httpx.Client, traces: dict[str, str]) -> None:
    """Add three photos to a new collection, and find one of them; each within the trace that is said."""
    path = f"/v1/collections/c{uuid4().hex}"
    wait_until_ready(http)
    http.post("/v1/collections", json={"name": path.rpartition("/")[2]}).raise_for_status()
    files = [("files", (f"{red}.png", make_photo(red))) for red in range(3)]
    added = http.post(f"{path}/images", files=files, headers=traceparent(traces["add"]))
    assert [one["outcome"] for one in added.json()["images"]] == ["added"] * 3, added.text
    answer = http.get(f"{path}/search", params={"q": "w1"}, headers=traceparent(traces["search"])).json()
    assert answer["degraded"] == []
    assert answer["hits"][0]["image"]["names"] == ["1.png"]


def wait_until_ready(http: httpx.Client) -> None:
    end = time.monotonic() + STARTS_S
    report = "nobody listens"
    while time.monotonic() < end:
        try:
            answer = http.get("/readyz")
            report = answer.text
            if all(one["is_ready"] for one in answer.json()["dependencies"] if one["name"] != "reranker"):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not ready: {report}")


def traceparent(trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{'1' * 16}-01"}


def assert_whole(spans: list[Seen]) -> None:
    """Every span belongs to another of the trace, but the first, which belongs to the caller's."""
    assert [one.name for one in spans if one.parent_id.hex() == "1" * 16] in (["http.POST"], ["http.GET"])
    known = {one.span_id for one in spans}
    assert [one.name for one in spans if one.parent_id not in known and one.parent_id.hex() != "1" * 16] == []


def name_of(spans: list[Seen], span_id: bytes) -> str:
    (name,) = (one.name for one in spans if one.span_id == span_id)
    return name
