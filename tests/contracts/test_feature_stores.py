"""What every feature store must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from contracts.stores import found, make_s3_settings
from integration.servers import Server, shared_ceph, shared_minio, shared_rclone

from glyphseek.errors import InputError
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.features.s3 import S3FeatureStore
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.ports import FeatureStore

LOCAL: dict[str, Callable[[Path], FeatureStore]] = {
    "memory": lambda _: MemoryFeatureStore(),
    "directory": DirectoryFeatureStore,
    "directory with fsync": lambda folder: DirectoryFeatureStore(folder, fsync=True),
}
SERVERS: dict[str, Callable[[], Server]] = {"minio": shared_minio, "ceph": shared_ceph, "rclone": shared_rclone}


@pytest.fixture(params=[*LOCAL, *SERVERS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FeatureStore]:
    if request.param in LOCAL:
        yield LOCAL[request.param](tmp_path / "blobs")
        return
    settings = make_s3_settings(found(SERVERS[request.param]))
    make_bucket(settings)
    blobs = S3FeatureStore(settings)
    yield blobs
    blobs.close()


def test_a_new_store_is_empty(store: FeatureStore) -> None:
    assert list(store.scan()) == []
    assert store.get(["a"]) == [None]


@pytest.mark.parametrize("blob", [b"", b"x", bytes(range(256)) * 4000])
def test_a_blob_returns_as_it_was_put(store: FeatureStore, blob: bytes) -> None:
    store.put("model/abc", blob)
    assert store.get(["model/abc"]) == [blob]


def test_blobs_return_in_the_order_of_the_keys_with_none_for_the_unknown(store: FeatureStore) -> None:
    store.put("a", b"1")
    store.put("b", b"2")
    assert store.get(["b", "no", "a", "b"]) == [b"2", None, b"1", b"2"]


def test_no_keys_give_no_blobs(store: FeatureStore) -> None:
    assert store.get([]) == []


def test_a_later_put_replaces_the_blob(store: FeatureStore) -> None:
    store.put("a", b"a long first blob")
    store.put("a", b"new")
    assert store.get(["a"]) == [b"new"]
    assert list(store.scan()) == ["a"]


def test_a_deleted_blob_is_gone_and_unknown_keys_are_ignored(store: FeatureStore) -> None:
    store.put("a", b"1")
    store.put("b", b"2")
    store.delete(["a", "never/there", "a"])
    assert store.get(["a", "b"]) == [None, b"2"]
    assert list(store.scan()) == ["b"]


def test_scan_yields_every_key_once_in_order(store: FeatureStore) -> None:
    keys = {f"{prefix}{name}" for prefix in ("", "a/", "a/b/", "a-b/", "Z/") for name in ("x", "a", "_", "9", "ab")}
    for key in keys:
        store.put(key, key.encode())
    assert list(store.scan()) == sorted(keys)


def test_a_key_may_extend_another_key_and_look_like_a_folder_of_the_store(store: FeatureStore) -> None:
    keys = ["a", "a/a", "a/a/a", "00", "00/00", "ff/a", "blob", "partial"]
    for key in keys:
        store.put(key, key.encode())
    assert store.get(keys) == [key.encode() for key in keys]
    assert list(store.scan()) == sorted(keys)


def test_the_longest_key_works(store: FeatureStore) -> None:
    key = "/".join("k" * 199 for _ in range(5))
    store.put(key, b"1")
    assert store.get([key]) == [b"1"]
    assert list(store.scan()) == [key]


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a.b", "a b", "a\n", "ä", "a\\b", "a\0", "k" * 201],
)
def test_a_malformed_key_is_refused_by_every_call(store: FeatureStore, key: str) -> None:
    for call in (lambda: store.put(key, b""), lambda: store.get([key]), lambda: store.delete([key])):
        with pytest.raises(InputError, match="blob key"):
            call()


def test_threads_that_put_the_same_key_leave_one_of_their_blobs_whole(store: FeatureStore) -> None:
    blobs = [bytes([n]) * 200_000 for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.put, ["shared/key"] * len(blobs), blobs))
    assert store.get(["shared/key"])[0] in blobs
