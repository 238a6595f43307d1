import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from contracts.stores import found, make_s3_settings
from indexing.gallery_fakes import photo_bytes, write_photos
from integration.servers import shared_minio

from glyphseek.errors import ImageTooLarge, ImageUnreadable, SettingError
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.features.s3.objects import S3Objects
from glyphseek.images import ImageLimits
from glyphseek.indexing import Skip
from glyphseek_indexer.sources import BucketSource, FolderSource, open_source

NOWHERE = S3Settings(endpoint="http://127.0.0.1:9", bucket="unused")


def test_a_folder_gives_the_photos_below_it_and_what_cannot_be_looked_at(tmp_path: Path) -> None:
    write_photos(tmp_path / "sub", 2)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    source = open_source(str(tmp_path), NOWHERE, ImageLimits())

    listed = list(source.names())

    assert [one for one in listed if isinstance(one, str)] == ["sub/0000.png", "sub/0001.png"]
    assert [(one.name, one.kind) for one in listed if isinstance(one, Skip)] == [("gone.jpg", "ImageUnreadable")]
    assert source.read(["sub/0001.png"]) == [photo_bytes(1)]


def test_a_photo_that_is_gone_or_too_large_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(101))
    (tmp_path / "small.png").write_bytes(bytes(100))
    source = FolderSource(folder=tmp_path, limits=ImageLimits(max_bytes=100))

    large, gone, small = source.read(["large.png", "gone.png", "small.png"])

    assert isinstance(large, ImageTooLarge)
    assert isinstance(gone, ImageUnreadable)
    assert small == bytes(100)


@pytest.mark.parametrize("text", ["gs://bucket/photos", "http://host/photos"])
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="s3://bucket/folder"):
        open_source(text, NOWHERE, ImageLimits())


def test_a_folder_that_is_not_there_and_a_bucket_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no folder"):
        open_source(str(tmp_path / "nowhere"), NOWHERE, ImageLimits())
    with pytest.raises(SettingError, match="bucket"):
        open_source("s3://B/photos", NOWHERE, ImageLimits())


def test_a_bucket_gives_the_photos_below_a_folder_by_their_address() -> None:
    settings = replace(make_s3_settings(found(shared_minio)), prefix="")
    make_bucket(settings)
    names = ["in/a b.jpg", "in/deep/é.PNG", "in/notes.txt", "inside/c.jpg", "d.jpg"]
    asyncio.run(_put(settings, {name: name.encode() for name in names}))
    source = open_source(f"s3://{settings.bucket}/in", settings, ImageLimits(max_bytes=12))

    assert isinstance(source, BucketSource)
    listed = [one for one in source.names() if isinstance(one, str)]
    first, second, gone = source.read([*sorted(listed), f"s3://{settings.bucket}/in/gone.jpg"])

    assert sorted(listed) == [f"s3://{settings.bucket}/{name}" for name in names[:2]]
    assert first == b"in/a b.jpg"
    assert isinstance(second, ImageTooLarge)
    assert isinstance(gone, ImageUnreadable)


async def _put(settings: S3Settings, blobs: dict[str, bytes]) -> None:
    objects = S3Objects(settings)
    for name, blob in blobs.items():
        await objects.put(name, blob)
