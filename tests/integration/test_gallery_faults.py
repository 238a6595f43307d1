"""A gallery over a Milvus server and S3 after faults of either: no image lost or doubled, and verify says the truth."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import found, make_s3_settings, milvus_uri
from indexing.gallery_fakes import FINGERPRINT, WIDTH, FakeModel, card, write_photos
from integration.proxy import Fault, Proxy
from integration.servers import Server, shared_minio, start_minio, wait_until_answers

from glyphseek.errors import StoreUnavailable
from glyphseek.features.s3 import S3FeatureStore, S3Settings
from glyphseek.features.s3.buckets import make_bucket
from glyphseek.indexing import Indexer, IndexReport, IndexSettings, collect_garbage, verify
from glyphseek.ports import blob_key
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, MilvusSettings
from glyphseek.vectors.milvus_settings import IndexSettings as VectorIndex

PHOTOS = 40


@dataclass(frozen=True)
class Cluster:
    """A folder of photos, and the two servers that its gallery is kept on."""

    root: Path
    milvus: MilvusSettings
    s3: S3Settings
    gallery: str

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    @contextmanager
    def stores(self, s3: S3Settings | None = None) -> Generator[tuple[MilvusStore, S3FeatureStore]]:
        with (
            closing(MilvusStore.open(self.milvus, gallery=self.gallery, card=card())) as vectors,
            closing(S3FeatureStore(s3 or self.s3)) as features,
        ):
            yield vectors, features

    def index(self, model: FakeModel, s3: S3Settings | None = None) -> IndexReport:
        (self.root / "hints").mkdir(exist_ok=True)
        with self.stores(s3) as (vectors, features):
            settings = IndexSettings(batch_images=4, commit_images=8)
            return Indexer(model, vectors, features, settings, gallery=self.root / "hints").run(self.photos)

    def assert_whole(self, photos: int = PHOTOS) -> None:
        """Every photo is there once, with its blob, and search finds every vector once."""
        with self.stores() as (vectors, features):
            records = list(vectors.scan())
            assert sorted(name for record in records for name in record.names) == names_of(self.photos)
            assert len(records) == photos
            assert verify(vectors, features, fingerprint=FINGERPRINT).problems == ()
            assert found_places(vectors) == {
                (record.image_id, place) for record in records for place in range(record.instance_count)
            }


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return make_cluster(tmp_path, make_s3_settings(found(shared_minio)))


def make_cluster(root: Path, s3: S3Settings) -> Cluster:
    milvus = MilvusSettings(uri=milvus_uri(), index=VectorIndex(kind=IndexKind.FLAT), partitions=2)
    write_photos(root / "photos", PHOTOS)
    make_bucket(s3)
    return Cluster(root=root, milvus=milvus, s3=replace(s3, timeout_s=2), gallery=f"f{uuid4().hex}")


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def found_places(vectors: MilvusStore) -> set[tuple[str, int | None]]:
    answers = vectors.search(np.concatenate([np.eye(WIDTH), -np.eye(WIDTH)]).astype(np.float32), 1000)
    places = [[(hit.image_id, hit.instance) for hit in hits] for hits in answers]
    assert all(len(row) == len(set(row)) for row in places)
    assert len({frozenset(row) for row in places}) == 1
    return set(places[0])


def test_a_gallery_indexed_on_servers_is_sound_and_indexing_again_changes_nothing(cluster: Cluster) -> None:
    model = FakeModel()
    assert cluster.index(model).added == PHOTOS
    cluster.assert_whole()
    report = cluster.index(model)
    assert (report.added, len(model.encoded)) == (0, PHOTOS)
    cluster.assert_whole()


@pytest.mark.timeout(300)
def test_milvus_killed_while_indexing_ends_the_run_and_the_next_completes_it(
    cluster: Cluster, own_milvus: Server
) -> None:
    uri = f"http://127.0.0.1:{own_milvus.port}"
    cluster = replace(cluster, milvus=replace(cluster.milvus, uri=uri))
    model = FakeModel()
    model.before_encode = lambda images: own_milvus.kill() if len(model.encoded) >= PHOTOS // 2 else None
    with pytest.raises(StoreUnavailable, match=uri):
        cluster.index(model)
    own_milvus.start()
    with cluster.stores() as (vectors, features):
        wait_until_answers(vectors)
        assert verify(vectors, features, fingerprint=FINGERPRINT).is_sound
        before = len(list(vectors.scan()))
    assert 0 < before < PHOTOS
    assert cluster.index(FakeModel()).added == PHOTOS - before
    cluster.assert_whole()


@pytest.mark.timeout(120)
def test_s3_killed_while_indexing_ends_the_run_and_the_next_completes_it(tmp_path: Path) -> None:
    server = found(lambda: start_minio(tmp_path / "minio"))
    cluster = make_cluster(tmp_path, make_s3_settings(server))
    model = FakeModel()
    model.before_encode = lambda images: server.kill() if len(model.encoded) >= PHOTOS // 2 else None
    with pytest.raises(StoreUnavailable, match=cluster.s3.bucket):
        cluster.index(model)
    server.start()
    with cluster.stores() as (vectors, features):
        assert verify(vectors, features, fingerprint=FINGERPRINT).is_sound
        before = len(list(vectors.scan()))
    assert 0 < before < PHOTOS
    assert cluster.index(FakeModel()).added == PHOTOS - before
    cluster.assert_whole()
    server.stop()


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault(status=500), None, None, Fault(status=503), None, None] * 40, id="errors"),
        pytest.param([Fault(delay_s=0.2), None, None, None] * 40, id="slow"),
        pytest.param([Fault(cut_after_bytes=50), None, None] * 40, id="cut off"),
    ],
)
def test_a_sick_s3_slows_indexing_down_and_nothing_else(cluster: Cluster, faults: list[Fault | None]) -> None:
    with Proxy(int(cluster.s3.endpoint.rpartition(":")[2])) as proxy:
        # Which request meets which fault is chance: with ten tries none meets eleven in a row.
        through = replace(cluster.s3, endpoint=f"http://127.0.0.1:{proxy.port}", timeout_s=30, retries=10)
        proxy.fail([None, *faults])
        assert cluster.index(FakeModel(), through).added == PHOTOS
    cluster.assert_whole()


def test_blobs_deleted_and_damaged_behind_the_systems_back_are_named_and_mended_by_indexing(cluster: Cluster) -> None:
    cluster.index(FakeModel())
    with cluster.stores() as (vectors, features):
        records = list(vectors.scan())
        gone, cut = (blob_key(FINGERPRINT, record.image_id) for record in (records[3], records[7]))
        features.delete([gone])
        [whole] = features.get([cut])
        assert whole is not None
        features.put(cut, whole[:-9])
        report = verify(vectors, features, fingerprint=FINGERPRINT)
    assert [(problem.image_id, problem.kind) for problem in report.problems] == [
        (records[3].image_id, "BlobMissing"),
        (records[7].image_id, "BlobDamaged"),
    ]
    (cluster.root / "hints" / "files.json").unlink()
    with cluster.stores() as (vectors, features):
        vectors.delete([records[3].image_id, records[7].image_id])
    assert cluster.index(FakeModel()).added == 2
    cluster.assert_whole()


def test_what_a_run_left_in_s3_without_a_row_is_garbage_that_is_collected(cluster: Cluster) -> None:
    cluster.index(FakeModel())
    with cluster.stores() as (vectors, features):
        stray = blob_key(FINGERPRINT, "ab" * 32)
        features.put(stray, b"left by a writer that died before its row")
        assert verify(vectors, features, fingerprint=FINGERPRINT).garbage == (stray,)
        assert collect_garbage(vectors, features, fingerprint=FINGERPRINT) == (stray,)
    cluster.assert_whole()
