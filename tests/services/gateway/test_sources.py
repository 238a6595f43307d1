"""Photos by their address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from contracts.stores import found, make_s3_settings
from integration.servers import shared_minio

from glyphseek.errors import DeadlineExceeded, ImageNotFound, ImageTooLarge, InputError, StoreUnavailable
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.rpc.context import call_bound, start_call
from glyphseek_gateway.sources import BucketSource, parse_uri


def test_an_address_names_an_object() -> None:
    name = parse_uri("s3://photos/a b/%2e%2e/é.jpg", ["photos"])
    assert (name.bucket, name.key) == ("photos", "a b/%2e%2e/é.jpg")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "is not s3://bucket/key"),
        ("https://photos/a.jpg", "is not s3://bucket/key"),
        ("file:///etc/passwd", "is not s3://bucket/key"),
        ("S3://photos/a.jpg", "is not s3://bucket/key"),
        ("s3://other/a.jpg", "photos are not read from bucket 'other'; allowed are: photos"),
        ("s3://user@photos/a.jpg", "photos are not read from bucket 'user@photos'"),
        ("s3://photos", "1 to 1024 bytes"),
        ("s3://photos/", "1 to 1024 bytes"),
        ("s3://photos/" + "a" * 1025, "1 to 1024 bytes"),
        ("s3://photos/a/../b.jpg", "'..'"),
        ("s3://photos/..", "'..'"),
        ("s3://photos/./a.jpg", "'.'"),
        ("s3://photos//a.jpg", "empty part"),
        ("s3://photos/a\\..\\b.jpg", "backslash"),
        ("s3://photos/a\nb.jpg", "control characters"),
    ],
)
def test_other_addresses_are_refused_with_the_reason(uri: str, reason: str) -> None:
    with pytest.raises(InputError) as told:
        parse_uri(uri, ["photos"])
    assert reason in str(told.value)


@pytest.fixture(scope="module")
def settings() -> S3Settings:
    settings = make_s3_settings(found(shared_minio))
    make_bucket(settings)
    return settings


def put(settings: S3Settings, name: str, content: bytes) -> None:
    async def work() -> None:
        await S3Objects(settings).put(name, content)

    asyncio.run(work())


@contextmanager
def reading(settings: S3Settings, *also: str, at_once: int = 8) -> Generator[tuple[BucketSource, list[S3Settings]]]:
    """Give a source that may read the bucket, and the settings of the clients it makes."""
    made: list[S3Settings] = []

    def make(one: S3Settings) -> S3Objects:
        made.append(one)
        return S3Objects(one)

    source = BucketSource(settings, allowed=[settings.bucket, *also], at_once=at_once, make_objects=make)
    try:
        yield source, made
    finally:
        source.close()


def test_an_object_is_read_up_to_the_limit(settings: S3Settings) -> None:
    put(settings, "some/a.jpg", b"x" * 1000)
    uri = f"s3://{settings.bucket}/some/a.jpg"
    with reading(settings) as (source, _):
        assert source.measure([uri], max_bytes=1000) == [1000]
        assert source.read([uri], max_bytes=1000) == [b"x" * 1000]
        (refused,) = source.measure([uri], max_bytes=999)
        assert isinstance(refused, ImageTooLarge)
        assert "has 1000 bytes; the limit is 999" in str(refused)
        assert source.read([uri], max_bytes=999) == [b""]


def test_many_objects_are_read_in_their_order_by_one_client_so_many_at_once(settings: S3Settings) -> None:
    uris = [f"s3://{settings.bucket}/many/{place}.jpg" for place in range(20)]
    for place in range(20):
        put(settings, f"many/{place}.jpg", bytes([place]))
    with reading(settings, at_once=3) as (source, made):
        assert source.measure(uris, max_bytes=10) == [1] * 20
        assert source.read(uris, max_bytes=10) == [bytes([place]) for place in range(20)]
        with ThreadPoolExecutor(2) as threads:
            together = [threads.submit(source.read, uris, max_bytes=10) for _ in range(2)]
            assert [one.result() for one in together] == [[bytes([place]) for place in range(20)]] * 2
    assert [one.max_in_flight for one in made] == [3]


def test_an_object_or_bucket_that_is_not_there_fails_no_other(settings: S3Settings) -> None:
    put(settings, "some/a.jpg", b"x")
    uris = [f"s3://{settings.bucket}/b.jpg", "s3://nobodys/b.jpg", "s3://other/b", f"s3://{settings.bucket}/some/a.jpg"]
    with reading(settings, "nobodys") as (source, _):
        assert source.measure(uris, max_bytes=10)[0] == 0
        found = source.read(uris, max_bytes=10)
    assert [type(one) for one in found] == [ImageNotFound, StoreUnavailable, InputError, bytes]
    assert "has no object 'b.jpg'" in str(found[0])
    assert "nobodys" in str(found[1])


def test_reading_ends_with_the_time_of_the_caller(settings: S3Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = replace(settings, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        late = pytest.raises(DeadlineExceeded, match="could not be read before the deadline")
        with reading(nowhere) as (source, _), call_bound(start_call(timeout_s=0.3)), late:
            source.read([f"s3://{settings.bucket}/a.jpg"], max_bytes=10)
