"""What a feature store on S3 does when the server is gone, slow, sick or cut off; a real server, really killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from contracts.stores import found, make_s3_settings
from integration.proxy import Fault, Proxy
from integration.servers import ACCESS_KEY, SECRET_KEY, shared_minio, start_minio

from glyphseek.errors import DeadlineExceeded, InputError, StoreError, StoreUnavailable
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.rpc.context import call_bound, start_call

BLOBS = {f"model/{number:02}/blob": bytes([number]) * 20_000 for number in range(40)}
KEYS = list(BLOBS)


@pytest.fixture(scope="module")
def filled() -> S3Settings:
    """A bucket with blobs on the shared server."""
    settings = make_s3_settings(found(shared_minio))
    make_bucket(settings)
    fill(settings)
    return settings


@pytest.fixture
def proxy(filled: S3Settings) -> Iterator[Proxy]:
    with Proxy(int(filled.endpoint.rpartition(":")[2])) as between:
        yield between


def fill(settings: S3Settings) -> None:
    store = S3FeatureStore(settings)
    for key, blob in BLOBS.items():
        store.put(key, blob)
    store.close()


@pytest.fixture
def through(filled: S3Settings, proxy: Proxy) -> S3Settings:
    return replace(filled, endpoint=f"http://127.0.0.1:{proxy.port}")


@pytest.fixture
def store(through: S3Settings) -> Iterator[S3FeatureStore]:
    opened = S3FeatureStore(replace(through, hedge_share=0, timeout_s=5, attempt_timeout_s=2))
    yield opened
    opened.close()


def test_a_server_that_is_killed_is_named_at_once_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    server = found(lambda: start_minio(tmp_path))
    settings = replace(make_s3_settings(server), timeout_s=3)
    make_bucket(settings)
    fill(settings)
    store = S3FeatureStore(settings)
    server.kill()
    for call in (lambda: store.get(KEYS), lambda: store.put("new", b"1"), lambda: store.delete(KEYS[:1])):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=rf"bucket '{settings.bucket}' at {settings.endpoint}"):
            call()
        assert time.monotonic() - started < 4
    with pytest.raises(StoreUnavailable):
        list(store.scan())
    server.start()
    assert store.get(KEYS) == list(BLOBS.values())
    assert list(store.scan()) == sorted(KEYS)
    store.put("new", b"1")
    assert store.get(["new"]) == [b"1"]
    store.close()
    server.stop()


def test_errors_of_the_server_are_tried_again_until_it_answers(proxy: Proxy, store: S3FeatureStore) -> None:
    for status in (500, 502, 503):
        proxy.fail([Fault(status=status)] * 3)
        assert store.get(KEYS[:1]) == [BLOBS[KEYS[0]]]
    proxy.fail([Fault(status=500)] * 2)
    store.put("written/after/errors", b"whole")
    assert store.get(["written/after/errors"]) == [b"whole"]


def test_a_server_that_only_has_errors_is_named_with_the_status(proxy: Proxy, store: S3FeatureStore) -> None:
    proxy.fail(standing=Fault(status=500))
    with pytest.raises(StoreUnavailable, match=rf"{proxy.port} could not get .*: 500"):
        store.get(KEYS[:3])
    proxy.fail()
    assert store.get(KEYS) == list(BLOBS.values())


def test_the_rest_of_a_body_that_is_cut_short_is_asked_for(proxy: Proxy, store: S3FeatureStore) -> None:
    proxy.fail(standing=Fault(cut_after_bytes=9000))
    assert store.get(KEYS[:8]) == list(BLOBS.values())[:8]


def test_answers_that_are_no_objects_are_asked_for_again_when_they_are_cut_short(
    proxy: Proxy, store: S3FeatureStore
) -> None:
    cut = Fault(cut_after_bytes=500)  # after the head of the answer, inside of the XML
    proxy.fail([cut, cut])
    assert store.get(["no/such/key"]) == [None]
    proxy.fail([cut, cut])
    store.delete(["no/such/key"])
    assert store.get(KEYS[:1]) == [BLOBS[KEYS[0]]]
    proxy.fail(standing=cut)
    with pytest.raises(StoreUnavailable, match="no/such/key"):
        store.get(["no/such/key"])


def test_a_list_goes_on_where_one_of_its_pages_was_cut_short(through: S3Settings, proxy: Proxy) -> None:
    names = [f"pages/{number:04}" for number in range(1100)]  # a page holds 1,000

    async def put() -> S3Objects:
        objects = S3Objects(through)
        await asyncio.gather(*(objects.put(name, b"1") for name in names))
        return objects

    objects = asyncio.run(put())
    cut = Fault(cut_after_bytes=500)
    proxy.fail([cut, None, cut, cut])
    before = proxy.requests
    assert list(objects.list("pages")) == names
    assert proxy.requests - before == 5
    proxy.fail([None], standing=cut)
    with pytest.raises(StoreUnavailable, match="could not list"):
        list(objects.list("pages"))


def test_a_body_that_is_always_cut_short_is_an_error_and_never_a_shorter_blob(
    proxy: Proxy, store: S3FeatureStore
) -> None:
    proxy.fail(standing=Fault(cut_after_bytes=900))
    with pytest.raises(StoreUnavailable, match=f"{proxy.port}"):
        store.get(KEYS[:1])


def test_a_slow_server_is_waited_for_until_the_deadline_and_no_longer(proxy: Proxy, store: S3FeatureStore) -> None:
    proxy.fail(standing=Fault(delay_s=0.3))
    assert store.get(KEYS[:8]) == list(BLOBS.values())[:8]
    proxy.fail(standing=Fault(delay_s=15))
    started = time.monotonic()
    outcomes = store.get_each(KEYS[:8], timeout_s=0.1)
    assert time.monotonic() - started < 8
    assert all(isinstance(one, StoreUnavailable) and "within the deadline" in str(one) for one in outcomes)


def test_a_read_ends_with_its_caller_and_a_write_does_not(proxy: Proxy, store: S3FeatureStore) -> None:
    proxy.fail(standing=Fault(delay_s=15))
    started = time.monotonic()
    with call_bound(start_call(timeout_s=0.2)):
        with pytest.raises(StoreUnavailable, match="within the deadline"):
            store.get(KEYS[:3])
        with pytest.raises(DeadlineExceeded):
            store.get(KEYS[:3])
    assert time.monotonic() - started < 4
    proxy.fail([Fault(delay_s=0.5), Fault(delay_s=0.5)])
    with call_bound(start_call(timeout_s=0.1)):
        store.put("slowly/written", b"whole")
        store.delete(["slowly/written"])
    assert store.get(["slowly/written", KEYS[0]]) == [None, BLOBS[KEYS[0]]]


def test_connecting_to_a_store_that_hangs_ends_with_the_caller(proxy: Proxy, through: S3Settings) -> None:
    proxy.fail(standing=Fault(delay_s=15))
    started = time.monotonic()
    with call_bound(start_call(timeout_s=0.2)), pytest.raises(StoreUnavailable, match="within the deadline"):
        S3FeatureStore(through)
    assert time.monotonic() - started < 4


def test_a_deadline_of_one_millisecond_ends_at_once_and_harms_nothing(store: S3FeatureStore) -> None:
    for _ in range(20):
        started = time.monotonic()
        for key, one in zip(KEYS, store.get_each(KEYS, timeout_s=0.001), strict=True):
            assert isinstance(one, StoreError) or one == BLOBS[key]
        assert time.monotonic() - started < 5
    assert store.get(KEYS) == list(BLOBS.values())


def test_blobs_that_came_in_time_are_kept_when_others_did_not(proxy: Proxy, store: S3FeatureStore) -> None:
    proxy.fail([None, Fault(delay_s=3), None, None])
    outcomes = store.get_each(KEYS[:4], timeout_s=0.8)
    late = [one for one in outcomes if isinstance(one, StoreUnavailable)]
    assert len(late) == 1
    assert sum(one == BLOBS[key] for key, one in zip(KEYS, outcomes, strict=False)) == 3


def test_one_slow_answer_is_overtaken_by_a_second_request(proxy: Proxy, through: S3Settings) -> None:
    # A whole second request for each first one: whatever the gathers before have spent, one is left for this read.
    store = S3FeatureStore(replace(through, hedge_share=1.0, timeout_s=30, attempt_timeout_s=20))
    first, *others = KEYS
    for _ in range(3):
        store.get(others)
    proxy.fail([Fault(asked_for=first.encode(), delay_s=15)])
    started = time.monotonic()
    assert store.get([first]) == [BLOBS[first]]
    assert time.monotonic() - started < 10
    assert store.hedge.won >= 1
    store.close()


def test_a_server_that_is_slow_throughout_is_asked_few_things_twice(proxy: Proxy, through: S3Settings) -> None:
    store = S3FeatureStore(replace(through, hedge_share=0.1))
    for _ in range(3):
        store.get(KEYS)
    before = proxy.requests
    proxy.fail(standing=Fault(delay_s=0.4))
    for _ in range(3):
        store.get(KEYS)
    assert 3 * len(KEYS) < proxy.requests - before <= 1.1 * 3 * len(KEYS) + 8
    store.close()


def test_a_missing_bucket_is_said_with_how_to_make_it(filled: S3Settings) -> None:
    with pytest.raises(StoreUnavailable, match=r"'no-such' at .* is not there: make the bucket, for example with"):
        S3FeatureStore(replace(filled, bucket="no-such"))


def test_a_bucket_that_vanishes_is_no_reason_to_call_its_blobs_missing(filled: S3Settings) -> None:
    settings = make_s3_settings(found(shared_minio))
    assert make_bucket(settings)
    assert not make_bucket(settings)
    store = S3FeatureStore(settings)
    remove_bucket(settings)
    for call in (lambda: store.get(KEYS[:1]), lambda: store.put("a", b""), lambda: list(store.scan())):
        with pytest.raises(StoreUnavailable, match="is not there: make the bucket"):
            call()
    store.close()


@pytest.mark.parametrize("wrong", [{"access_key": "somebody-else"}, {"secret_key": "another-secret"}])
def test_refused_keys_are_said_and_never_shown(filled: S3Settings, wrong: dict[str, str]) -> None:
    settings = replace(filled, **wrong)
    for call in (lambda: S3FeatureStore(settings), lambda: make_bucket(settings)):
        with pytest.raises(StoreUnavailable, match=f"{settings.endpoint}") as caught:
            call()
        said = f"{caught.value!r} {caught.value.__cause__!r} {settings!r}"
        for secret in (ACCESS_KEY, SECRET_KEY, *wrong.values()):
            assert secret not in said


def test_an_endpoint_where_nothing_listens_is_named(filled: S3Settings) -> None:
    with pytest.raises(StoreUnavailable, match=r"bucket '.*' at http://127.0.0.1:1 could not"):
        S3FeatureStore(replace(filled, endpoint="http://127.0.0.1:1", timeout_s=1))


def test_blobs_over_the_limit_are_refused_and_foreign_ones_not_read(filled: S3Settings) -> None:
    store = S3FeatureStore(replace(filled, max_blob_bytes=10_000))
    with pytest.raises(InputError, match="has 10001 bytes, the limit is 10000"):
        store.put("large", bytes(10_001))
    store.put("small", bytes(10_000))
    assert store.get([KEYS[0], "small", "large"]) == [b"", bytes(10_000), None]
    store.delete(["small"])
    store.close()


def remove_bucket(settings: S3Settings) -> None:
    from minio import Minio

    client = Minio(settings.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    client.remove_bucket(settings.bucket)
