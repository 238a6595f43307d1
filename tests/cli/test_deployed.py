"""`verify` and `gc` of a collection, on the Milvus and the MinIO that all tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from cli.command_line import glyphseek
from contracts.stores import found, make_s3_settings, milvus_uri
from fakes.word_gallery import CARD, FINGERPRINT, write_features
from integration.servers import shared_minio
from minio import Minio
from pymilvus import MilvusClient

from glyphseek.errors import StoreUnavailable
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.indexing import photo_key
from glyphseek.ports import FeatureStore, VectorStore, blob_key
from glyphseek.tokens import CodecName, pack
from glyphseek.types import ImageRecord
from glyphseek.vectors.milvus_client import MilvusCalls, Row
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings


@pytest.fixture(scope="module")
def s3() -> S3Settings:
    settings = make_s3_settings(found(shared_minio))
    address = settings.endpoint.removeprefix("http://")
    client = Minio(address, access_key=settings.access_key, secret_key=settings.secret_key, secure=False)
    client.make_bucket(settings.bucket)
    return settings


@pytest.fixture(scope="module")
def milvus() -> MilvusSettings:
    """A database of its own: `gc` looks at all collections."""
    uri, database = milvus_uri(), f"d{uuid4().hex}"
    with closing(MilvusClient(uri)) as client:
        client.create_database(database)
    return MilvusSettings(uri=uri, database=database, index=IndexSettings(kind=IndexKind.FLAT), partitions=2)


@pytest.fixture
def config(tmp_path: Path, milvus: MilvusSettings, s3: S3Settings) -> Path:
    file = tmp_path / "deployment.json"
    settings = {
        "milvus_uri": milvus.uri,
        "milvus_database": milvus.database,
        "s3_endpoint": s3.endpoint,
        "s3_bucket": s3.bucket,
        "s3_prefix": s3.prefix,
        "s3_access_key": s3.access_key,
        "s3_secret_key": s3.secret_key,
    }
    file.write_text(json.dumps(settings))
    return file


@pytest.fixture
def features(s3: S3Settings) -> Iterator[S3FeatureStore]:
    with closing(S3FeatureStore(s3)) as opened:
        opened.delete(list(opened.scan()))
        yield opened


@pytest.fixture
def gallery(milvus: MilvusSettings, features: S3FeatureStore) -> Iterator[str]:
    """A collection with the images `a` and `b`."""
    name = f"c{uuid4().hex}"
    with closing(MilvusStore.open(milvus, gallery=name, card=CARD)) as vectors:
        for image_id in "ab":
            add(vectors, features, image_id)
        yield name
        vectors.delete(["a", "b"])


def add(vectors: VectorStore, features: FeatureStore, image_id: str) -> None:
    seen = write_features(["coffee", "open"])
    assert seen.instances is not None
    features.put(blob_key(FINGERPRINT, image_id), pack(seen, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    features.put(photo_key(f"hash-{image_id}"), b"the file")
    record = ImageRecord(
        image_id=image_id, content_hash=f"hash-{image_id}", names=(), width=9, height=9, instance_count=2
    )
    vectors.put([record], [seen.instances.vectors_ND])


def test_a_sound_collection_is_verified_with_0(gallery: str, config: Path) -> None:
    ended = glyphseek("verify", "--collection", gallery, "--config", config)
    assert (ended.code, ended.out.strip()) == (0, "2 images, 0 with a problem, 0 blobs to collect")


def test_what_is_damaged_is_named(gallery: str, config: Path, features: S3FeatureStore) -> None:
    features.delete([blob_key(FINGERPRINT, "a")])
    features.put(blob_key(FINGERPRINT, "nobody"), b"left over")
    ended = glyphseek("verify", "--collection", gallery, "--config", config, "--json")
    assert ended.code == 1
    report = json.loads(ended.out)
    assert [(one["image_id"], one["kind"]) for one in report["problems"]] == [("a", "BlobMissing")]
    assert report["garbage"] == [blob_key(FINGERPRINT, "nobody")]


def test_gc_removes_what_no_image_of_any_collection_has(
    gallery: str, config: Path, milvus: MilvusSettings, features: S3FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MilvusStore.open(milvus, gallery=f"{gallery}_2", card=CARD)
    add(other, features, "of-the-other")
    kept = sorted(features.scan())
    features.put(blob_key(FINGERPRINT, "nobody"), b"left over")
    features.put(photo_key("hash-nobody"), b"left over")
    with monkeypatch.context() as patched, closing(MilvusStore.open(milvus, gallery=gallery, card=CARD)) as dying:
        patched.setattr(MilvusCalls, "upsert", die)
        with pytest.raises(StoreUnavailable):
            add(dying, features, "a")
    young = glyphseek("gc", "--collection", gallery, "--config", config, "--settle", "0")
    assert young.out.splitlines() == ["0 vectors removed", "1 blobs and 1 photos removed"]
    assert sorted(features.scan()) == kept
    old = glyphseek("gc", "--collection", gallery, "--config", config, "--settle", "0", "--older-than", "0", "--json")
    assert json.loads(old.out) == {"vectors": 2, "removed": [], "photos": []}
    assert glyphseek("verify", "--collection", gallery, "--config", config).code == 0
    other.delete(["of-the-other"])
    other.close()


def die(self: MilvusCalls, collection: str, written: list[Row]) -> None:
    raise StoreUnavailable("the process ends here")


def test_blobs_stay_where_other_tenants_may_need_them(
    gallery: str, config: Path, milvus: MilvusSettings, features: S3FeatureStore
) -> None:
    with closing(MilvusStore.open(replace(milvus, tenant="else"), gallery=gallery, card=CARD)) as elsewhere:
        add(elsewhere, features, "theirs")
        before = sorted(features.scan())
        ended = glyphseek("gc", "--collection", gallery, "--config", config, "--settle", "0")
        assert (ended.code, ended.out.strip()) == (0, "0 vectors removed")
        assert "other tenants have images here" in " ".join(ended.err.split())
        assert sorted(features.scan()) == before
        elsewhere.delete(["theirs"])


def test_deleting_takes_rows_and_blobs_and_leaves_what_another_collection_uses(
    gallery: str, config: Path, milvus: MilvusSettings, features: S3FeatureStore
) -> None:
    with closing(MilvusStore.open(milvus, gallery=f"{gallery}_3", card=CARD)) as other:
        add(other, features, "b")
        ended = glyphseek("delete", "a", "b", "nobody", "--collection", gallery, "--config", config)
        assert (ended.code, ended.out.strip()) == (2, "2 images removed")
        assert "not in the gallery: nobody" in ended.err
        assert [key for key in features.scan() if key.startswith(FINGERPRINT)] == [blob_key(FINGERPRINT, "b")]
        assert [record.image_id for record in other.scan()] == ["b"]
        verified = glyphseek("verify", "--collection", gallery, "--config", config)
        assert (verified.code, verified.out.strip()) == (0, "0 images, 0 with a problem, 0 blobs to collect")
        other.delete(["b"])


def test_a_collection_that_is_not_there_is_said(gallery: str, config: Path) -> None:
    ended = glyphseek("verify", "--collection", "nobody", "--config", config)
    assert ended.code != 0
    said, known = " ".join(ended.err.split()).split("there are: ")
    assert said.endswith("there is no collection 'nobody'; ")
    assert gallery in known.split(", ")


@pytest.mark.parametrize("words", [[], ["--gallery", "g", "--collection", "c"]])
@pytest.mark.parametrize("command", [["verify"], ["gc"], ["delete", "an-id"]])
def test_one_place_is_to_be_named(command: list[str], words: list[str]) -> None:
    ended = glyphseek(*command, *words)
    assert ended.code == 2
    assert "say either --gallery FOLDER or --collection NAME" in ended.err
