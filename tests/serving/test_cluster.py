"""A Ray Serve deployment, started as users start it, while its replicas are killed, overrun, scaled and re-aliased.

One cluster serves all tests: replicas take long to load. Blobs are reached through a proxy that tests make slow, and
are never cached, so that requests stay in flight for as long as a test wants.
"""

from __future__ import annotations

import io
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import grpc
import httpx
import numpy as np
import pytest
import yaml
from contracts.stores import found
from integration.deployment import Deployed, eventually
from integration.galleries import (
    MAPS_MODEL,
    QUERIES,
    WORDS_MODEL,
    Gallery,
    assert_alike,
    make_gallery,
    remove,
    search_over_grpc,
)
from integration.loads import Load, overload, setting_at_the_end, switch_under_load
from integration.proxy import Fault, Proxy
from integration.servers import shared_minio
from PIL import Image
from serving.running import Running, started, wait_until

from glyphseek.api.v1 import ingest_service_pb2, reranker_service_pb2
from glyphseek.api.v1.ingest_service_pb2_grpc import IngestServiceStub
from glyphseek.api.v1.reranker_service_pb2_grpc import RerankerServiceStub
from glyphseek.client import NewImage
from glyphseek.config import load_config
from glyphseek.errors import ModelNotFound, Unauthenticated
from glyphseek.rpc.client import Client as Caller
from glyphseek.rpc.endpoint import Endpoint
from glyphseek.rpc.health import check_health
from glyphseek.rpc.wire_errors import FailedCall
from glyphseek.serving.cluster import MAX_MESSAGE_BYTES, read_applications
from glyphseek.serving.guarding import credentials_of
from glyphseek.serving.launching import find_applications

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(280)]

AT_ONCE, WAITING = 2, 4
SETTINGS = {
    "MODELS": "tdsl-small,cayn-small",
    "SERVICE_TOKEN": "known to services only",
    "CACHE_BYTES": "0",
    "DEADLINE_S": "30",
    "ENCODE_S": "15",
    "RERANK_S": "6",
    "MATCH_S": "6",
    "MAX_SEARCHES": str(AT_ONCE),
    "MAX_QUEUED": str(WAITING),
}
QUERY = QUERIES[1]
SERVES_BOUND = 512  # of the gateway in the shipped file: max_ongoing_requests + max_queued_requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Deployed):
    """The deployment, and the processes that it is."""

    running: Running

    def replicas(self, service: str) -> set[int]:
        return set(self.running.processes(f"ray::ServeReplica:{service}"))

    def readers(self, service: str) -> set[int]:
        """Return the replicas that are connected with S3: they are from their first request on."""
        port = f":{self.proxy.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(port)}
        return {pid for pid in self.replicas(service) if sockets & _list_open(pid)}

    def kill(self, service: str) -> None:
        self.running.kill(f"ray::ServeReplica:{service}")

    def service(self, name: str, *, token: str = "") -> Caller:
        """Return a client of one service."""
        endpoint = Endpoint(host="127.0.0.1", port=self.config.grpc_port, application=name)
        return Caller(endpoint, service=name, credentials=credentials_of(token))

    def read_metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.config.metrics_port}/metrics").text


def _list_open(pid: int) -> set[str]:
    found: set[str] = set()
    with suppress(FileNotFoundError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(os.readlink(one))
    return found


@pytest.fixture(scope="module", name="cluster")
def cluster_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    s3 = found(shared_minio)
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(s3.port))
        settings = {**SETTINGS, "S3_ENDPOINT": f"http://127.0.0.1:{proxy.port}"}
        options = ("--cpus", "3", "--applications", str(_write_applications(folder)))
        running = stack.enter_context(started(folder / "logs", *options, **settings))
        config = load_config(None, running.environment)
        cluster = Cluster(
            proxy=proxy,
            config=config,
            config_file=folder / "config.json",
            direct=replace(config, s3_endpoint=f"http://127.0.0.1:{s3.port}"),
            application="gateway",
            running=running,
        )
        yield cluster
        running.end_cleanly(signal.SIGTERM)


def _write_applications(folder: Path) -> Path:
    """Write the applications that are shipped, with a reranker that scales within seconds instead of minutes."""
    wanted = read_applications(find_applications())
    [reranker] = [one for one in wanted["applications"] if one["name"] == "reranker"]
    scaling = cast("dict[str, Any]", reranker["deployments"][0]["autoscaling_config"])
    scaling |= {"target_ongoing_requests": 0.5, "upscale_delay_s": 1, "downscale_delay_s": 2}
    scaling |= {"metrics_interval_s": 0.5, "look_back_period_s": 1}
    file = folder / "applications.yaml"
    file.write_text(yaml.safe_dump(wanted))
    return file


@pytest.fixture(name="deployment")
def deployment_fixture(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    cluster.proxy.fail()


@pytest.fixture(scope="module", name="words")
def words_fixture(cluster: Cluster) -> Gallery:
    return make_gallery(cluster, "words", WORDS_MODEL, "match")


@pytest.fixture(scope="module", name="maps")
def maps_fixture(cluster: Cluster) -> Gallery:
    return make_gallery(cluster, "maps", MAPS_MODEL, "rerank")


def test_answers_behind_serves_proxies_are_those_of_a_search_in_process(
    deployment: Cluster, words: Gallery, maps: Gallery
) -> None:
    for gallery in (words, maps):
        gallery.assert_whole()
        gallery.assert_sound()
        with deployment.caller() as caller:
            for query in QUERIES:
                assert_alike(search_over_grpc(caller, gallery.name, query).hits, gallery.whole[query])


def test_every_service_tells_its_health_and_counts_at_one_port(deployment: Cluster, words: Gallery) -> None:
    for service in ("encoder", "reranker", "matcher", "gateway"):
        with deployment.service(service) as caller:
            check_health(caller, timeout_s=10)
    words.assert_whole()
    counts = deployment.read_metrics()
    for service in ("gateway", "encoder", "matcher"):
        assert f'glyphseek_requests_in_flight{{service="{service}"}}' in counts


def test_services_answer_only_those_who_know_the_secret_of_the_deployment(deployment: Cluster) -> None:
    request = reranker_service_pb2.RerankRequest(model="unknown")
    for token, told in (
        ("", Unauthenticated),
        ("guessed", Unauthenticated),
        (SETTINGS["SERVICE_TOKEN"], ModelNotFound),
    ):
        with deployment.service("reranker", token=token) as caller, pytest.raises(told):
            caller.call(RerankerServiceStub(caller.channel).Rerank, request, timeout_s=20)


def test_photos_of_many_megabytes_are_taken_over_http_and_over_grpc(deployment: Cluster, words: Gallery) -> None:
    photos = [_make_noise(number) for number in range(2)]
    assert all(len(photo.content) > 6 * 2**20 for photo in photos)
    words.add(photos[:1])
    request = ingest_service_pb2.AddImagesRequest(collection="words", name=photos[1].name, content=photos[1].content)
    with deployment.caller() as caller:
        [added] = caller.stream(IngestServiceStub(caller.channel).AddImages, iter([request]), timeout_s=60)
    assert added.outcome == ingest_service_pb2.AddImagesResponse.OUTCOME_ADDED, added
    words.sent.add(added.image_id)
    remove(words, photos)


def _make_noise(seed: int) -> NewImage:
    pixels = np.random.default_rng(seed).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG", compress_level=0)
        return NewImage(content=file.getvalue(), name=f"noise {seed}")


def test_a_message_over_the_limit_of_plain_servers_is_refused_by_serves_proxy(deployment: Cluster) -> None:
    request = reranker_service_pb2.RerankRequest(model="x" * MAX_MESSAGE_BYTES)
    unbounded = [("grpc.max_send_message_length", -1)]
    address = f"127.0.0.1:{deployment.config.grpc_port}"
    with grpc.insecure_channel(address, options=unbounded) as channel, pytest.raises(grpc.RpcError) as refused:
        RerankerServiceStub(channel).Rerank(request, timeout=60, metadata=[("application", "reranker")])
    failed = cast(FailedCall, refused.value)
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"vs. {MAX_MESSAGE_BYTES}" in (failed.details() or "")


@pytest.mark.parametrize("service", ["matcher", "reranker"])
def test_a_second_stage_whose_replica_is_killed_in_the_middle_of_a_request_and_back(
    deployment: Cluster, words: Gallery, maps: Gallery, service: str
) -> None:
    gallery = {"matcher": words, "reranker": maps}[service]
    killed = deployment.replicas(service)
    deployment.proxy.fail(standing=Fault(delay_s=8))
    before = deployment.proxy.requests
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(gallery.assert_degraded, QUERY, reason=f"{service} 127.0.0.1")
        wait_until(lambda: deployment.proxy.requests > before, pause_s=0.005)
        deployment.kill(service)
        asked.result()
    deployment.proxy.fail()
    gallery.assert_whole()
    assert deployment.replicas(service).isdisjoint(killed)
    gallery.assert_sound()


def test_ten_times_the_admitted_load_is_answered_right_or_refused_with_a_time(
    deployment: Cluster, words: Gallery
) -> None:
    overload(words, QUERY, callers=10 * (AT_ONCE + WAITING), seconds=8, deadline_s=10)


def test_requests_past_serves_own_queue_are_told_when_to_come_again(deployment: Cluster, words: Gallery) -> None:
    begun = (
        "POST /v1/collections/words/search HTTP/1.1\r\nHost: gallery\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with ExitStack() as stack:
        for _ in range(SERVES_BOUND + 60):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", deployment.config.http_port)))
            slow.sendall(begun.encode())  # and never the rest: it holds a place, before any admission of ours
        answer = eventually(
            lambda: httpx.get(f"{deployment.url}/healthz", timeout=30), lambda answer: answer.status_code == 429
        )
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
    wait_until(lambda: httpx.get(f"{deployment.url}/healthz", timeout=30).status_code == 200)
    words.assert_whole()


def test_an_alias_switched_under_load_mixes_and_fails_no_answer(deployment: Cluster) -> None:
    switch_under_load(deployment, QUERY, models=(WORDS_MODEL, MAPS_MODEL), callers=AT_ONCE + 2, times=4)


def test_a_second_reranker_comes_with_load_answers_for_the_first_when_that_is_killed_and_leaves(
    deployment: Cluster, maps: Gallery
) -> None:
    [first] = deployment.replicas("reranker")
    load, is_over = Load(), Event()
    deployment.proxy.fail(standing=Fault(delay_s=0.2))
    with ThreadPoolExecutor(AT_ONCE + 2) as pool:
        asked = [
            pool.submit(load.ask_while, lambda: not is_over.is_set(), lambda: maps.search(QUERY))
            for _ in range(AT_ONCE + 2)
        ]
        with setting_at_the_end(is_over):
            wait_until(lambda: len(deployment.readers("reranker")) == 2)
            os.kill(first, signal.SIGKILL)
            answered = len(load.pages)
            wait_until(lambda: len(load.pages) > answered + 4)
        for one in asked:
            one.result()
    assert load.refused == []
    assert any(not page.degraded for page in load.pages)
    for page in load.pages:
        maps.assert_true(page, QUERY)  # on a busy machine a slow S3 may be too slow for its bound of a second
        assert not any("reranker" in one.reason for one in page.degraded)
    deployment.proxy.fail()
    wait_until(lambda: len(deployment.replicas("reranker")) == 1)
    maps.assert_whole()
