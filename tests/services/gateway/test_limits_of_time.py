"""Deadlines, stages that are late or gone, and more requests than are taken on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

import grpc
import httpx
import pytest
from fakes.gateways import PhotoWords, Served, make_engine, make_gateway, make_photo, served
from fakes.token_gallery import GridModel

from glyphseek.api.v1 import search_service_pb2
from glyphseek.errors import DeadlineExceeded, ServiceUnavailable
from glyphseek.matching import MatchCandidate, Matching
from glyphseek.ports import FeatureStore
from glyphseek.queries import Term
from glyphseek.ranking import QueryPlan
from glyphseek.reranking import Reranking
from glyphseek.rpc.context import time_left
from glyphseek.rpc.wire_errors import FailedCall
from glyphseek.types import TermFeatures
from glyphseek_gateway.engines import Engine
from glyphseek_gateway.gateway import GatewaySettings
from glyphseek_gateway.limits import Limits
from glyphseek_gateway.stages import Budgets


@dataclass(kw_only=True)
class LateReranker:
    """Never answers in time, as a service behind a lost network; it notes how long it was waited for."""

    waited_s: list[float] = field(default_factory=list[float])

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        left_s = time_left(60)
        self.waited_s.append(left_s)
        time.sleep(left_s)
        raise DeadlineExceeded("reranker 127.0.0.1:1 did not answer in time")


@dataclass(kw_only=True)
class WaitingMatcher:
    """Answers when it may; until then it blocks, whatever the deadline."""

    may_go: threading.Event = field(default_factory=threading.Event)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        self.began.release()
        self.may_go.wait(30)
        raise ServiceUnavailable("matcher 127.0.0.1:1: connection refused")


class SilentWords(PhotoWords):
    """Its service is gone."""

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        raise ServiceUnavailable("encoder 127.0.0.1:1: connection refused")


@pytest.fixture(scope="module")
def matcher() -> WaitingMatcher:
    return WaitingMatcher()


@pytest.fixture(scope="module")
def reranker() -> LateReranker:
    return LateReranker()


@pytest.fixture(scope="module")
def running(matcher: WaitingMatcher, reranker: LateReranker) -> Iterator[Served]:
    settings = GatewaySettings(
        max_searches=2, max_queued=2, budgets=Budgets(rerank_s=0.2), limits=Limits(deadline_s=10.0)
    )

    def engines(features: FeatureStore) -> list[Engine]:
        return [
            make_engine(PhotoWords(), features, matcher=matcher),
            make_engine(GridModel(), features, reranker=reranker),
        ]

    with served(make_gateway(engines=engines, settings=settings)) as running:
        for name in ("words", "grids"):
            running.http.post("/v1/collections", json={"name": name, "model": name}).raise_for_status()
            running.add(name, {f"i{red}": make_photo(red) for red in range(4)})
        yield running


def search(running: Served, collection: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return running.http.get(f"/v1/collections/{collection}/search", params={"q": "w1"}, headers=headers)


def test_a_late_stage_is_left_out_within_its_own_limit(running: Served, reranker: LateReranker) -> None:
    answer = search(running, "grids").json()
    assert answer["hits"][0]["image"]["image_id"] == "i1"
    assert all(hit["stages"] == ["recall"] for hit in answer["hits"])
    degraded = answer["degraded"][0]
    assert (degraded["stage"], degraded["coverage"]) == ("rerank", 0.0)
    assert "did not answer in time" in degraded["reason"]
    assert reranker.waited_s[-1] <= 0.2


def test_a_stage_leaves_some_of_a_short_deadline_to_answer_without_it(running: Served, reranker: LateReranker) -> None:
    reranker.waited_s.clear()
    while not reranker.waited_s:  # a busy machine may need all of the time for what comes before
        answer = search(running, "grids", {"X-Deadline-Ms": "200"})
        assert answer.status_code in (200, 504)  # or the rest for what comes after
    assert reranker.waited_s[-1] <= 0.18


def test_a_stage_that_is_gone_degrades_the_answer_over_both_transports(
    running: Served, matcher: WaitingMatcher
) -> None:
    matcher.may_go.set()
    over_http = search(running, "words").json()
    over_grpc = running.search.Search(search_service_pb2.SearchRequest(collection="words", query="w1"), timeout=10)
    assert over_http["hits"][0]["image"]["image_id"] == over_grpc.hits[0].image.image_id == "i1"
    for stage, reason, coverage in (
        tuple(over_http["degraded"][0].values()),
        (over_grpc.degraded[0].stage, over_grpc.degraded[0].reason, over_grpc.degraded[0].coverage),
    ):
        assert (stage, coverage) == ("match", 0.0)
        assert "connection refused" in reason
    metrics = running.http.get("/metrics").text
    assert 'glyphseek_degraded_answers_total{stage="match"}' in metrics


def test_a_deadline_of_one_millisecond_is_told_quickly_and_harms_nothing(
    running: Served, matcher: WaitingMatcher
) -> None:
    """Some of these searches are answered in time on a fast machine, by recall alone: those answers are right."""
    matcher.may_go.set()
    for _ in range(20):
        started = time.monotonic()
        over_http = search(running, "words", {"X-Deadline-Ms": "1"})
        if over_http.status_code != 200:
            assert (over_http.status_code, over_http.json()["type"]) == (504, "urn:glyphseek:problem:DeadlineExceeded")
        else:
            assert over_http.json()["hits"][0]["image"]["image_id"] == "i1"
        over_grpc = running.search.Search.future(
            search_service_pb2.SearchRequest(collection="words", query="w1"), timeout=0.001
        )
        if over_grpc.code() is not grpc.StatusCode.OK:
            assert over_grpc.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            assert over_grpc.result().hits[0].image.image_id == "i1"
        assert time.monotonic() - started < 5
    assert search(running, "words").status_code == 200


def test_a_deadline_that_has_passed_on_arrival_is_told(running: Served) -> None:
    assert search(running, "words", {"X-Deadline-Ms": "0"}).status_code == 504
    with pytest.raises(grpc.RpcError) as failed:
        running.search.Search(search_service_pb2.SearchRequest(collection="words", query="w1"), timeout=1e-9)
    assert cast(FailedCall, failed.value).code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_at_the_deadline_a_search_that_hangs_is_given_up(running: Served, matcher: WaitingMatcher) -> None:
    matcher.may_go.clear()
    answer = search(running, "words", {"X-Deadline-Ms": "300"})
    matcher.may_go.set()
    assert (answer.status_code, answer.json()["title"]) == (504, "The time is over")


def test_past_the_bound_requests_are_refused_and_the_admitted_ones_answered(
    running: Served, matcher: WaitingMatcher
) -> None:
    _wait_until_idle(running)
    matcher.may_go.clear()
    _drain(matcher)
    with ThreadPoolExecutor(4) as threads:
        admitted = [threads.submit(search, running, "words") for _ in range(4)]
        for _ in range(2):
            assert matcher.began.acquire(timeout=10)
        _wait_for(running, 2, "glyphseek_running_items", "gateway-searches")
        _wait_for(running, 2, "glyphseek_queue_items", "gateway-searches")
        refused = search(running, "words")
        with pytest.raises(grpc.RpcError) as failed:
            running.search.Search(search_service_pb2.SearchRequest(collection="words", query="w1"), timeout=10)
        matcher.may_go.set()
        answers = [one.result() for one in admitted]
    assert [one.status_code for one in answers] == [200] * 4
    assert all(one.json()["hits"][0]["image"]["image_id"] == "i1" for one in answers)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "the limit is 4" in refused.json()["detail"]
    assert cast(FailedCall, failed.value).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    metrics = running.http.get("/metrics").text
    assert 'glyphseek_rejected_requests_total{method="Search",service="gateway"} 2.0' in metrics


def test_without_the_encoder_a_search_says_who_does_not_answer() -> None:
    with served(make_gateway(engines=lambda features: [make_engine(SilentWords(), features)])) as running:
        running.http.post("/v1/collections", json={"name": "words"}).raise_for_status()
        answer = search(running, "words")
    assert answer.status_code == 503
    assert "encoder 127.0.0.1:1" in answer.json()["detail"]


def test_uploads_past_the_bound_are_refused_before_they_are_read(running: Served) -> None:
    settings = GatewaySettings(max_ingests=1)
    with served(make_gateway(settings=settings)) as small:
        small.http.post("/v1/collections", json={"name": "words"}).raise_for_status()
        may_end = threading.Event()

        def slowly() -> Iterator[bytes]:
            yield b'{"images": ['
            may_end.wait(20)
            yield b"]}"

        def upload() -> httpx.Response:
            address = f"{small.http.base_url}/v1/collections/words/images"
            while True:  # the requests that ask for the refusal may hold the place for a moment, the last too
                answer = httpx.post(address, content=slowly(), headers={"content-type": "application/json"}, timeout=30)
                if answer.status_code != 429 or time.monotonic() > end + 20:
                    return answer

        end = time.monotonic() + 10
        with ThreadPoolExecutor(2) as threads:
            waiting = [threads.submit(upload) for _ in range(2)]
            refused = small.http.post("/v1/collections/words/images", json={"images": []})
            while refused.status_code != 429 and time.monotonic() < end:
                refused = small.http.post("/v1/collections/words/images", json={"images": []})
            may_end.set()
            assert [one.result().status_code for one in waiting] == [422, 422]  # they hold no images
    assert refused.status_code == 429
    assert "retry-after" in refused.headers


def _drain(matcher: WaitingMatcher) -> None:
    while matcher.began.acquire(blocking=False):
        pass


def _wait_until_idle(running: Served) -> None:
    _wait_for(running, 1, "glyphseek_requests_in_flight", "gateway")  # that of the metrics
    _wait_for(running, 0, "glyphseek_running_items", "gateway-searches")


def _wait_for(running: Served, count: int, name: str, service: str) -> None:
    end = time.monotonic() + 10
    line = f'{name}{{service="{service}"}} {float(count)}'
    while line not in (text := running.http.get("/metrics").text) and time.monotonic() < end:
        time.sleep(0.01)
    assert line in text
