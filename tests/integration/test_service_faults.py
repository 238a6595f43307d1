"""What a whole deployment does while one of its processes is really killed, slow, sick or overrun.

After each fault: every image that was acknowledged is there once, `verify` finds nothing or exactly what was damaged,
and answers are those of a search in process again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from contracts.stores import found
from integration.deployment import Deployment, ServiceProcess, deployed, eventually
from integration.galleries import (
    MAPS_MODEL,
    PHOTOS,
    QUERIES,
    WORDS_MODEL,
    Gallery,
    assert_alike,
    assert_ordered,
    break_ingest,
    disturb_weights,
    draw,
    make_gallery,
    remove,
    resend,
    search_over_grpc,
)
from integration.loads import overload, switch_under_load
from integration.proxy import Fault
from integration.servers import Server, start_minio

from glyphseek.api.v1 import ingest_service_pb2, search_service_pb2
from glyphseek.api.v1.ingest_service_pb2_grpc import IngestServiceStub
from glyphseek.api.v1.search_service_pb2_grpc import SearchServiceStub
from glyphseek.errors import DeadlineExceeded, ServiceUnavailable, StoreUnavailable
from glyphseek.ports import blob_key

pytestmark = pytest.mark.deployment

AT_ONCE, WAITING = 2, 4
OVERLOAD_S = 30.0
DEADLINE_S = 10.0  # of every search of the overload, as its caller tells it; a late one raises, and fails the test


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    deployment: Deployment
    words: Gallery
    maps: Gallery
    disturbed: Path


@pytest.fixture(scope="module", name="cluster")
def cluster_fixture(tmp_path_factory: pytest.TempPathFactory, own_milvus: Server) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("deployment")
    s3 = found(lambda: start_minio(root / "s3"))
    folder = root / "tdsl-disturbed"
    folder.mkdir()
    disturb_weights(folder)
    settings = {"deadline_s": 30.0, "encode_s": 15.0, "rerank_s": 6.0, "match_s": 6.0}
    bounds = {"max_searches": AT_ONCE, "max_queued": WAITING, "max_ingests": 2}
    models = (WORDS_MODEL, MAPS_MODEL, str(folder))
    with deployed(root / "services", own_milvus, s3, models=models, **settings, **bounds) as deployment:
        words = make_gallery(deployment, "words", WORDS_MODEL, "match")
        maps = make_gallery(deployment, "maps", MAPS_MODEL, "rerank")
        yield Cluster(deployment=deployment, words=words, maps=maps, disturbed=folder)
    s3.stop()


@pytest.fixture(name="deployment")
def deployment_fixture(cluster: Cluster) -> Iterator[Deployment]:
    yield cluster.deployment
    cluster.deployment.proxy.fail()


@pytest.fixture(name="words")
def words_fixture(cluster: Cluster, deployment: Deployment) -> Gallery:
    return cluster.words


@pytest.fixture(name="galleries")
def galleries_fixture(cluster: Cluster, deployment: Deployment) -> list[Gallery]:
    return [cluster.words, cluster.maps]


def test_http_and_grpc_answer_as_in_process(galleries: list[Gallery]) -> None:
    for gallery in galleries:
        gallery.assert_whole()
        gallery.assert_sound()
        with gallery.deployment.caller() as caller:
            for query in QUERIES:
                assert_alike(search_over_grpc(caller, gallery.name, query).hits, gallery.whole[query])


def test_milvus_killed_and_back(deployment: Deployment, words: Gallery) -> None:
    photos = [draw("milvus", str(number)) for number in range(6)]
    broken = break_ingest(words, photos, deployment.milvus.kill)
    assert isinstance(broken.error, StoreUnavailable)
    answer = httpx.get(f"{deployment.url}/v1/collections/words/search", params={"q": "coffee"}, timeout=60)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:glyphseek:problem:StoreUnavailable")
    with deployment.caller() as caller, pytest.raises(StoreUnavailable, match="Milvus"):
        search_over_grpc(caller, "words", "coffee")
    report = eventually(deployment.read_report, lambda report: not is_ready(report, "milvus"))
    assert not is_ready(report, "milvus")
    deployment.milvus.start()
    deployment.wait_until_ready()
    eventually(lambda: words.search("coffee"), lambda _: True)
    resend(words, photos, broken)
    remove(words, photos)


def is_ready(report: dict[str, list[dict[str, object]]] | None, name: str) -> bool:
    return report is None or any(one["is_ready"] for one in report["dependencies"] if one["name"] == name)


def test_s3_killed_and_back(deployment: Deployment, galleries: list[Gallery]) -> None:
    words = galleries[0]
    photos = [draw("bucket", str(number)) for number in range(6)]
    broken = break_ingest(words, photos, deployment.s3.kill)
    assert isinstance(broken.error, StoreUnavailable)
    for gallery in galleries:
        page = gallery.search("coffee")
        assert [(one.stage, one.coverage) for one in page.degraded] == [(gallery.stage, 0.0)]
        assert {hit.stages for hit in page.hits} == {("recall",)}
        assert_ordered(page.hits)
    deployment.s3.start()
    deployment.wait_until_ready()
    resend(words, photos, broken)
    remove(words, photos)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(Fault(delay_s=8), "not read", id="slow"),
        pytest.param(Fault(status=500), "not read", id="only 500s"),
        pytest.param(Fault(cut_after_bytes=700), "not read", id="cut short"),
    ],
)
def test_a_sick_s3_leaves_recalls_answer_and_says_so(
    deployment: Deployment, galleries: list[Gallery], fault: Fault, reason: str
) -> None:
    for gallery in galleries:
        for query in QUERIES[:2]:
            deployment.proxy.fail(standing=fault)
            started = time.monotonic()
            gallery.assert_degraded(query, reason=reason)
            assert time.monotonic() - started < deployment.config.deadline_s
        deployment.proxy.fail()
        gallery.assert_whole()
        gallery.assert_sound()


def test_blobs_that_an_s3_with_some_slow_answers_gave_in_time_are_used(deployment: Deployment, words: Gallery) -> None:
    query = "coffee AND bakery"
    deployment.proxy.fail([None, Fault(delay_s=8)] * 20)
    page = words.search(query)
    [degraded] = page.degraded
    assert (degraded.stage, "not read" in degraded.reason) == ("match", True)
    assert 0 < degraded.coverage < 1
    assert {"match" in hit.stages for hit in page.hits} == {True, False}
    words.assert_true(page, query)
    deployment.proxy.fail()
    words.assert_whole()


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(cut_after_bytes=700)], ids=["500s", "cut short"])
def test_an_s3_that_fails_now_and_then_changes_no_answer_and_takes_every_photo(
    deployment: Deployment, words: Gallery, fault: Fault
) -> None:
    photos = [draw("sometimes", str(number)) for number in range(3)]
    deployment.proxy.fail([fault, None, None] * 100)
    words.assert_whole()
    assert {one.outcome for one in words.add(photos)} == {"added"}
    deployment.proxy.fail()
    words.assert_sound()
    remove(words, photos)


def test_an_s3_that_only_fails_takes_no_photo_and_all_of_them_when_it_is_well(
    deployment: Deployment, words: Gallery
) -> None:
    photos = [draw("refused", str(number)) for number in range(3)]
    deployment.proxy.fail(standing=Fault(status=500))
    with deployment.client("words") as client, pytest.raises(StoreUnavailable):
        client.add_images(photos)
    words.assert_sound()
    deployment.proxy.fail()
    assert {one.outcome for one in words.add(photos)} == {"added"}
    words.assert_sound()
    remove(words, photos)


@pytest.mark.parametrize("name", ["matcher", "reranker"])
def test_a_second_stage_killed_in_the_middle_of_a_request_and_back(
    cluster: Cluster, deployment: Deployment, name: str
) -> None:
    gallery = {"matcher": cluster.words, "reranker": cluster.maps}[name]
    query = "coffee AND bakery"
    deployment.proxy.fail(standing=Fault(delay_s=8))
    before = deployment.proxy.requests
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(gallery.assert_degraded, query, reason=f"{name} 127.0.0.1")
        wait_until(lambda: deployment.proxy.requests > before)
        deployment.services[name].kill()
        asked.result()
    deployment.proxy.fail()
    gallery.assert_degraded(query, reason=f"{name} 127.0.0.1")
    deployment.restart(name)
    gallery.assert_whole()
    gallery.assert_sound()


def wait_until(is_so: Callable[[], bool]) -> None:
    assert eventually(is_so, bool, patience_s=30, pause_s=0.005)


def test_encoder_killed_during_ingest_and_back(deployment: Deployment, words: Gallery) -> None:
    photos = [draw("encoder", str(number)) for number in range(6)]
    broken = break_ingest(words, photos, deployment.services["encoder"].kill)
    assert isinstance(broken.error, ServiceUnavailable)
    assert "encoder 127.0.0.1" in str(broken.error)
    with deployment.client("words") as client:
        with pytest.raises(ServiceUnavailable, match="encoder"):
            client.add_images(photos)
        with pytest.raises(ServiceUnavailable, match="encoder"):
            client.search("coffee")
    words.assert_sound()
    deployment.restart("encoder")
    resend(words, photos, broken)
    remove(words, photos)


@pytest.mark.parametrize("end", [ServiceProcess.kill, ServiceProcess.stop], ids=["killed", "stopped"])
def test_gateway_restarted_during_ingest(
    deployment: Deployment, words: Gallery, end: Callable[[ServiceProcess], None], request: pytest.FixtureRequest
) -> None:
    photos = [draw("gateway", f"{request.node.callspec.id} {number}") for number in range(6)]
    broken = break_ingest(words, photos, lambda: end(deployment.services["gateway"]))
    assert isinstance(broken.error, ServiceUnavailable)
    with deployment.client("words") as client, pytest.raises(ServiceUnavailable, match=deployment.url):
        client.search("coffee")
    deployment.restart("gateway")
    resend(words, photos, broken)
    remove(words, photos)


def test_a_deadline_of_one_millisecond_is_told_and_harms_nothing(deployment: Deployment, words: Gallery) -> None:
    photo = draw("late", "photo")
    search = f"{deployment.url}/v1/collections/words/search"
    query = search_service_pb2.SearchRequest(collection="words", query="coffee")
    new = ingest_service_pb2.AddImagesRequest(collection="words", name=photo.name, content=photo.content)
    with deployment.caller() as caller, httpx.Client() as http:
        for _ in range(10):
            answer = http.get(search, params={"q": "coffee"}, headers={"X-Deadline-Ms": "1"}, timeout=60)
            assert (answer.status_code, answer.json()["type"]) == (504, "urn:glyphseek:problem:DeadlineExceeded")
            with pytest.raises(DeadlineExceeded):
                caller.call(SearchServiceStub(caller.channel).Search, query, timeout_s=0.001)
            with pytest.raises(DeadlineExceeded):
                list(caller.stream(IngestServiceStub(caller.channel).AddImages, iter([new]), timeout_s=0.001))
    words.assert_whole()
    words.add([photo])
    words.assert_sound()
    remove(words, [photo])


def test_ten_times_the_admitted_load_is_answered_right_or_refused_with_a_time(
    deployment: Deployment, words: Gallery
) -> None:
    overload(words, "coffee AND bakery", callers=10 * (AT_ONCE + WAITING), seconds=OVERLOAD_S, deadline_s=DEADLINE_S)


def test_an_alias_switched_under_load_mixes_and_fails_no_answer(cluster: Cluster, deployment: Deployment) -> None:
    switch_under_load(
        deployment, "coffee AND bakery", models=(WORDS_MODEL, str(cluster.disturbed)), callers=AT_ONCE + 2, times=6
    )


def test_a_blob_deleted_behind_the_systems_back_is_told_by_searches_and_named_by_verify(
    deployment: Deployment, galleries: list[Gallery]
) -> None:
    for gallery in galleries:
        page = gallery.search("coffee AND bakery")
        gone = page.hits[0]
        with deployment.features() as features:
            features.delete([blob_key(page.model, gone.image_id)])
        page = gallery.search("coffee AND bakery")
        assert [(one.stage, one.coverage) for one in page.degraded] == [(gallery.stage, 1 - 1 / len(PHOTOS))]
        assert page.degraded[0].reason == "blobs: 1 missing"
        assert {hit.image_id for hit in page.hits if gallery.stage not in hit.stages} == {gone.image_id}
        assert_ordered(page.hits)
        report = deployment.verify(gallery.name)
        assert [(one.image_id, one.kind) for one in report.problems] == [(gone.image_id, "BlobMissing")]
        assert gallery.list_ids() == sorted(gallery.sent)
        with deployment.client(gallery.name) as client:
            client.delete_image(gone.image_id)
        gallery.add([photo for photo in PHOTOS if photo.name in gone.names])
        gallery.assert_sound()
        gallery.assert_whole()
