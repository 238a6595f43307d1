"""What searches answer when the blobs of their second stage are on a server that is gone, slow, sick or cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from contracts.stores import found, make_s3_settings
from fakes import token_gallery, word_gallery
from integration.proxy import Fault, Proxy
from integration.servers import shared_minio, start_minio

from glyphseek.errors import StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.matching import Matcher, MatcherSettings
from glyphseek.reranking import Reranker, RerankerSettings
from glyphseek.search import Searcher

IMAGES = {f"i{number}": "tea" for number in range(8)}
KEPT_BYTES = 2**20
PATIENCE_S = 30.0


@pytest.fixture(scope="module", name="filled")
def filled_fixture() -> S3Settings:
    """A bucket with the blobs of both kinds of gallery on the shared server."""
    settings = make_s3_settings(found(shared_minio))
    make_bucket(settings)
    fill(settings)
    return settings


def fill(settings: S3Settings) -> None:
    store = S3FeatureStore(settings)
    for features in (word_gallery.write_gallery(IMAGES)[1], token_gallery.write_grids(IMAGES)[1]):
        copy(features, store)
    store.close()


def make_bucket_when_ready(settings: S3Settings) -> None:
    """Make the bucket on a server that has just started: on a busy machine it answers before it can do anything."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            make_bucket(settings)
        except StoreUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


def copy(source: MemoryFeatureStore, store: S3FeatureStore) -> None:
    keys = list(source.scan())
    for key, blob in zip(keys, source.get(keys), strict=True):
        assert blob is not None
        store.put(key, blob)


@pytest.fixture(name="proxy")
def proxy_fixture(filled: S3Settings) -> Iterator[Proxy]:
    with Proxy(int(filled.endpoint.rpartition(":")[2])) as between:
        yield between


@pytest.fixture(name="store")
def store_fixture(filled: S3Settings, proxy: Proxy) -> Iterator[S3FeatureStore]:
    settings = replace(filled, endpoint=f"http://127.0.0.1:{proxy.port}", hedge_share=0, timeout_s=5)
    opened = S3FeatureStore(settings)
    yield opened
    opened.close()


def matching_searcher(store: S3FeatureStore, *, cache_bytes: int = 0, fetch_timeout_s: float = 5) -> Searcher:
    settings = MatcherSettings(cache_bytes=cache_bytes, fetch_timeout_s=fetch_timeout_s)
    matcher = Matcher(store, card=word_gallery.CARD, settings=settings)
    return Searcher(word_gallery.WordModel(), word_gallery.write_gallery(IMAGES)[0], matcher=matcher)


def reranking_searcher(store: S3FeatureStore, *, cache_bytes: int = 0, fetch_timeout_s: float = 5) -> Searcher:
    model = token_gallery.GridModel()
    settings = RerankerSettings(cache_bytes=cache_bytes, fetch_timeout_s=fetch_timeout_s)
    reranker = Reranker(model, store, fingerprint=token_gallery.FINGERPRINT, settings=settings)
    return Searcher(model, token_gallery.write_grids(IMAGES)[0], reranker=reranker)


class MakeSearcher(Protocol):
    def __call__(self, store: S3FeatureStore, *, cache_bytes: int = 0, fetch_timeout_s: float = 5) -> Searcher: ...


STAGES = pytest.mark.parametrize(
    ("make", "stage"), [(matching_searcher, "match"), (reranking_searcher, "rerank")], ids=["match", "rerank"]
)


def told(searcher: Searcher) -> tuple[list[str], list[tuple[str, float]]]:
    """Return the ids of the hits of a search and, of what it went without, stages and coverage."""
    result = searcher.search("tea")
    return [hit.image_id for hit in result.hits], [(one.stage, one.coverage) for one in result.degraded]


@STAGES
def test_blobs_on_a_server_answer_as_those_in_memory(store: S3FeatureStore, make: MakeSearcher, stage: str) -> None:
    result = make(store).search("tea")
    assert {hit.stages for hit in result.hits} == {("recall", stage)}
    assert (len(result.hits), result.degraded) == (len(IMAGES), ())


@STAGES
def test_blobs_that_come_in_time_are_used_and_the_others_told(
    store: S3FeatureStore, proxy: Proxy, make: MakeSearcher, stage: str
) -> None:
    searcher = make(store, fetch_timeout_s=1.5)
    proxy.fail([None, Fault(delay_s=6), None, None, Fault(delay_s=6)])
    result = searcher.search("tea")
    assert sorted(hit.image_id for hit in result.hits) == sorted(IMAGES)
    assert sum(stage in hit.stages for hit in result.hits) == 6
    assert [(one.stage, one.coverage) for one in result.degraded] == [(stage, 0.75)]
    assert result.degraded[0].reason.startswith("blobs: 2 not read")


@STAGES
def test_errors_of_the_server_leave_the_order_of_recall(
    store: S3FeatureStore, proxy: Proxy, make: MakeSearcher, stage: str
) -> None:
    searcher = make(store, fetch_timeout_s=0.5)
    proxy.fail(standing=Fault(status=500))
    assert told(searcher) == (list(IMAGES), [(stage, 0.0)])
    proxy.fail()
    assert told(searcher) == (list(IMAGES), [])


@STAGES
def test_a_body_that_is_cut_short_is_never_scored(
    store: S3FeatureStore, proxy: Proxy, make: MakeSearcher, stage: str
) -> None:
    searcher = make(store, fetch_timeout_s=0.5)
    proxy.fail(standing=Fault(cut_after_bytes=100))
    assert told(searcher) == (list(IMAGES), [(stage, 0.0)])


def test_what_is_kept_answers_while_the_server_is_killed_and_all_when_it_is_back(tmp_path: Path) -> None:
    server = found(lambda: start_minio(tmp_path))
    settings = replace(make_s3_settings(server), timeout_s=3)
    make_bucket_when_ready(settings)
    gone = {"ab" * 15 + f"{number:02x}": "tea" for number in range(3)}  # ids that are hashes are kept without end
    vectors, features = word_gallery.write_gallery(gone)
    store = S3FeatureStore(settings)
    copy(features, store)
    matcher = Matcher(store, card=word_gallery.CARD, settings=MatcherSettings(cache_bytes=KEPT_BYTES))
    searcher = Searcher(word_gallery.WordModel(), vectors, matcher=matcher)
    whole = searcher.search("tea")
    server.kill()
    assert searcher.search("tea").hits == whole.hits
    fresh = Searcher(word_gallery.WordModel(), vectors, matcher=Matcher(store, card=word_gallery.CARD))
    assert told(fresh) == (list(gone), [("match", 0.0)])
    server.start()
    end = time.monotonic() + PATIENCE_S
    while (result := fresh.search("tea")).degraded and time.monotonic() < end:
        time.sleep(0.2)
    assert (result.hits, result.degraded) == (whole.hits, ())
    store.close()
    server.stop()
