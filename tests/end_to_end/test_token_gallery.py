"""A method of global vectors and token maps through indexing, search and upkeep, over the real stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fakes.token_gallery import CARD, FINGERPRINT, GridModel
from PIL import Image

from glyphseek.errors import SettingError
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.indexing import (
    Indexer,
    IndexReport,
    IndexSettings,
    collect_garbage,
    delete_images,
    export_records,
    verify,
)
from glyphseek.ports import blob_key
from glyphseek.reranking import Reranker
from glyphseek.search import Searcher
from glyphseek.tokens import CodecName, open_tokens
from glyphseek.vectors.milvus import MilvusLiteStore

PHOTOS = 12


@dataclass(kw_only=True)
class Stores:
    root: Path
    vectors: MilvusLiteStore
    features: DirectoryFeatureStore

    def index(self, settings: IndexSettings | None = None) -> IndexReport:
        settings = settings or IndexSettings(codec=CodecName.INT8)
        return Indexer(GridModel(), self.vectors, self.features, settings, gallery=self.root).run(self.root / "photos")

    def search(self, query: str) -> tuple[list[str], list[tuple[str, ...]]]:
        """Return the names of the confident hits and the stages of all hits."""
        model = GridModel()
        with Reranker(model, self.features, fingerprint=FINGERPRINT) as reranker:
            hits = Searcher(model, self.vectors, reranker=reranker).search(query, top=100).hits
        return [hit.names[0] for hit in hits if hit.score >= 0.5], [hit.stages for hit in hits]

    def blob_path(self, name: str) -> Path:
        image_id = next(record.image_id for record in self.vectors.scan() if name in record.names)
        return next((self.root / "features").rglob(f"{image_id}*"))


def write_photo(path: Path, number: int) -> None:
    pixels = np.full((60, 80, 3), number, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(name="stores")
def stores_fixture(tmp_path: Path) -> Iterator[Stores]:
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        write_photo(tmp_path / "photos" / f"{number:02d}.png", number)
    vectors = MilvusLiteStore.open(tmp_path / "vectors", card=CARD)
    yield Stores(root=tmp_path, vectors=vectors, features=DirectoryFeatureStore(tmp_path / "features"))
    vectors.close()


def test_photos_are_indexed_and_found_by_their_token_maps(stores: Stores) -> None:
    report = stores.index()
    assert (report.added, len(report.skipped)) == (PHOTOS, 0)
    names, stages = stores.search("w7")
    assert names == ["07.png"]
    assert stages == [("recall", "rerank")] * PHOTOS


@pytest.mark.parametrize("codec", [CodecName.FP16, CodecName.INT8])
def test_every_plain_codec_is_searched(stores: Stores, codec: CodecName) -> None:
    stores.index(IndexSettings(codec=codec))
    assert sorted(stores.search("w3 OR w5")[0]) == ["03.png", "05.png"]


def test_a_codec_that_needs_a_codebook_is_refused_before_anything_is_encoded(stores: Stores) -> None:
    with pytest.raises(SettingError, match="residual4 needs a codebook"):
        stores.index(IndexSettings(codec=CodecName.RESIDUAL4))
    assert list(stores.features.scan()) == []


def test_a_gallery_of_token_maps_is_verified(stores: Stores) -> None:
    stores.index()
    assert verify(stores.vectors, stores.features, fingerprint=FINGERPRINT).is_sound
    path = stores.blob_path("04.png")
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 4  # within a token
    path.write_bytes(damaged)
    report = verify(stores.vectors, stores.features, fingerprint=FINGERPRINT)
    assert [(problem.names, problem.kind) for problem in report.problems] == [(("04.png",), "BlobDamaged")]
    assert sorted(stores.search("w4")[1])[0] == ("recall",)


def test_deleted_photos_are_found_no_more_and_leave_no_blob(stores: Stores) -> None:
    stores.index()
    delete_images(stores.vectors, stores.features, ["07.png"], fingerprint=FINGERPRINT)
    assert stores.search("w7")[0] == []
    assert len(list(stores.features.scan())) == PHOTOS - 1


def test_blobs_without_a_row_are_collected(stores: Stores) -> None:
    stores.index()
    image_id = next(stores.vectors.scan()).image_id
    stores.vectors.delete([image_id])
    removed = collect_garbage(stores.vectors, stores.features, fingerprint=FINGERPRINT)
    assert removed == (blob_key(FINGERPRINT, image_id),)
    assert stores.index().added == 1


def test_a_blob_left_without_its_row_is_not_encoded_again(stores: Stores) -> None:
    stores.index()
    stores.vectors.delete([next(stores.vectors.scan()).image_id])
    report = stores.index()
    assert (report.added, report.encoded) == (1, 0)
    assert verify(stores.vectors, stores.features, fingerprint=FINGERPRINT).is_sound
    assert stores.search("w7")[0] == ["07.png"]


def test_renamed_photos_keep_their_maps(stores: Stores) -> None:
    stores.index()
    (stores.root / "photos" / "07.png").rename(stores.root / "photos" / "seven.png")
    assert stores.index().renamed == 1
    assert stores.search("w7")[0] == ["seven.png"]


def test_the_export_has_every_photo_and_no_boxes(stores: Stores) -> None:
    stores.index()
    lines = list(export_records(stores.vectors, stores.features, fingerprint=FINGERPRINT, with_boxes=True))
    assert sorted(str(line["names"]) for line in lines) == [f"('{number:02d}.png',)" for number in range(PHOTOS)]
    assert {str(line["instances"]) for line in lines} == {"[]"}


def test_tokens_unlikely_to_be_text_may_be_left_out(stores: Stores) -> None:
    stores.index(IndexSettings(codec=CodecName.INT8, keep_likelihood=0.5))
    tokens = open_tokens(stores.blob_path("03.png").read_bytes(), fingerprint=FINGERPRINT)
    assert len(tokens) == 1
    assert stores.search("w3")[0] == ["03.png"]
