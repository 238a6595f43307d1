"""Photos by their address."""

from __future__ import annotations

import asyncio

import pytest
from contracts.stores import found, make_s3_settings
from integration.servers import shared_minio

from glyphseek.errors import ImageNotFound, ImageTooLarge, InputError, StoreUnavailable
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
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


def test_an_object_is_read_up_to_the_limit(settings: S3Settings) -> None:
    put(settings, "some/a.jpg", b"x" * 1000)
    source = BucketSource(settings, allowed=[settings.bucket])
    uri = f"s3://{settings.bucket}/some/a.jpg"
    assert source.read(uri, max_bytes=1000) == b"x" * 1000
    with pytest.raises(ImageTooLarge, match="has 1000 bytes; the limit is 999"):
        source.read(uri, max_bytes=999)


def test_an_object_or_bucket_that_is_not_there_is_told(settings: S3Settings) -> None:
    source = BucketSource(settings, allowed=[settings.bucket, "nobodys"])
    with pytest.raises(ImageNotFound, match=r"has no object 'b\.jpg'"):
        source.read(f"s3://{settings.bucket}/b.jpg", max_bytes=10)
    with pytest.raises(StoreUnavailable, match="nobodys"):
        source.read("s3://nobodys/b.jpg", max_bytes=10)
