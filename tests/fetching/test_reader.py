from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from glyphseek.errors import BlobDamaged, BlobForeign, DeadlineExceeded, StoreError, StoreUnavailable
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.fetching import BlobReader
from glyphseek.fetching.reader import NAMED_LIFETIME_S, lifetime_of
from glyphseek.ports import FeatureStore, blob_key

FINGERPRINT = "0123456789abcdef" * 2


class CountingStore(MemoryFeatureStore):
    """Holds blobs by image id; counts how often each key is read, and waits for `may_answer` first."""

    def __init__(self, **blobs: bytes) -> None:
        super().__init__()
        for image_id, blob in blobs.items():
            self.put(blob_key(FINGERPRINT, image_id), blob)
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += [key.rsplit("/", 1)[1] for key in keys]
        assert self.may_answer.wait(10)
        return super().get(keys)


class PartialStore(MemoryFeatureStore):
    """Gives what it has within the time that it is given; says of the rest that it did not come."""

    def __init__(self, **blobs: bytes) -> None:
        super().__init__()
        self.blobs = blobs
        self.timeouts: list[float | None] = []

    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        self.timeouts.append(timeout_s)
        return [self.blobs.get(key[-1]) or StoreUnavailable(f"{key} did not come") for key in keys]


def open_word(blob: bytes) -> str:
    if blob == b"damaged":
        raise BlobDamaged("checksum")
    if blob == b"foreign":
        raise BlobForeign("another model")
    return blob.decode().upper()


def reader_of(store: FeatureStore, *, cache_bytes: int = 1000, threads: int = 1) -> BlobReader[str]:
    return BlobReader[str](
        store, fingerprint=FINGERPRINT, open_blob=open_word, weigh=len, cache_bytes=cache_bytes, threads=threads
    )


def test_blobs_are_opened_in_the_order_asked_each_once() -> None:
    store = CountingStore(a=b"tea", b=b"milk")
    found = reader_of(store).read(["b", "a", "b"])
    assert list(found.values.items()) == [("b", "MILK"), ("a", "TEA")]
    assert store.asked == ["b", "a"]
    assert (found.asked, found.unusable_ids, found.faults) == (2, (), {})


def test_hits_and_bytes_are_those_of_the_request() -> None:
    reader = reader_of(CountingStore(a=b"tea", b=b"milk"))
    first, second = reader.read(["a"]), reader.read(["a", "b"])
    assert (first.cache_hits, first.fetched_bytes) == (0, 3)
    assert (second.cache_hits, second.fetched_bytes) == (1, 4)
    assert (reader.stats().hits, reader.stats().misses) == (1, 2)


def test_faults_are_counted_named_and_looked_for_again() -> None:
    store = CountingStore(a=b"tea", b=b"damaged", c=b"foreign")
    reader = reader_of(store)
    found = reader.read(["c", "a", "x", "b", "y"])
    assert found.unusable_ids == ("c", "x", "b", "y")
    assert found.faults == {"of another model or version": 1, "missing": 2, "damaged": 1}
    store.put(blob_key(FINGERPRINT, "b"), b"milk")
    assert reader.read(["a", "b"]).values == {"a": "TEA", "b": "MILK"}


class BrokenStore(MemoryFeatureStore):
    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("the disk is gone")


def test_a_store_that_fails_is_a_fault_of_every_image_that_is_not_kept() -> None:
    found = reader_of(BrokenStore()).read(["a", "b"])
    assert (found.unusable_ids, found.faults) == (("a", "b"), {"not read (the disk is gone)": 2})
    assert found.fetched_bytes == 0


def test_of_a_store_that_reads_each_for_itself_what_came_is_used() -> None:
    found = reader_of(PartialStore(a=b"tea")).read(["a", "b", "c"])
    assert found.values == {"a": "TEA"}
    assert found.unusable_ids == ("b", "c")
    assert found.faults == {f"not read ({FINGERPRINT}/b/b did not come)": 2}


def test_such_a_store_is_given_the_time_that_is_left() -> None:
    store = PartialStore(a=b"tea")
    reader = BlobReader[str](
        store, fingerprint=FINGERPRINT, open_blob=open_word, weigh=len, cache_bytes=0, timeout_s=lambda: 0.25
    )
    reader.read(["a"])
    assert store.timeouts == [0.25]


def test_without_time_nothing_is_read() -> None:
    def nothing_left() -> float:
        raise DeadlineExceeded("over")

    store = PartialStore(a=b"tea")
    reader = BlobReader[str](
        store, fingerprint=FINGERPRINT, open_blob=open_word, weigh=len, cache_bytes=0, timeout_s=nothing_left
    )
    with pytest.raises(DeadlineExceeded, match="over"):
        reader.read(["a"])
    assert store.timeouts == []


def test_many_requests_for_one_image_read_its_blob_once() -> None:
    store = CountingStore(a=b"tea")
    store.may_answer.clear()
    reader = reader_of(store)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(reader.read, ["a"]) for _ in range(8)]
        while reader.stats().joined < 7:
            threading.Event().wait(0.005)
        store.may_answer.set()
        found = [one.result(10) for one in waiting]
    assert store.asked == ["a"]
    assert {one.values["a"] for one in found} == {"TEA"}
    assert sorted(one.cache_hits for one in found) == [0] + [1] * 7
    assert sum(one.fetched_bytes for one in found) == 3


def test_a_callers_id_may_mean_another_photo_later_and_is_read_again() -> None:
    now = [0.0]
    content_id = "0a" * 16
    store = CountingStore(shop=b"tea", **{content_id: b"milk"})
    reader = BlobReader[str](
        store, fingerprint=FINGERPRINT, open_blob=open_word, weigh=len, cache_bytes=1000, clock=lambda: now[0]
    )
    reader.read(["shop", content_id])
    store.put(blob_key(FINGERPRINT, "shop"), b"coffee")
    now[0] = NAMED_LIFETIME_S / 2
    assert reader.read(["shop"]).values == {"shop": "TEA"}
    now[0] = NAMED_LIFETIME_S
    assert reader.read(["shop", content_id]).values == {"shop": "COFFEE", content_id: "MILK"}
    assert store.asked == ["shop", content_id, "shop"]


def test_only_hashes_are_kept_without_end() -> None:
    assert lifetime_of(blob_key(FINGERPRINT, "0a" * 16)) == math.inf
    for image_id in ("shop", "0A" * 16, "0a" * 15, "0a" * 17, "x" * 32):
        assert lifetime_of(blob_key(FINGERPRINT, image_id)) == NAMED_LIFETIME_S


def test_several_threads_share_the_blobs_of_a_request() -> None:
    names = {f"n{number}": str(number).encode() for number in range(20)}
    reader = reader_of(CountingStore(**names), threads=3)
    found = reader.read(list(names))
    reader.close()
    assert dict(found.values) == {name: blob.decode() for name, blob in names.items()}
    assert found.fetched_bytes == sum(map(len, names.values()))


class HurriedStore(PartialStore):
    """Is out of time."""

    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        raise DeadlineExceeded("the time that the caller gave is over")


def test_a_store_that_has_no_time_left_leaves_the_blobs_unread_and_fails_nobody_who_waits_for_them() -> None:
    found = reader_of(HurriedStore()).read(["a", "b"])
    assert found.unusable_ids == ("a", "b")
    assert found.faults == {"not read (the time that the caller gave is over)": 2}
