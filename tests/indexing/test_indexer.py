from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, FakeModel, Gallery, photo_bytes, write_photos

from glyphseek.errors import ImageUnreadable, SettingError
from glyphseek.indexing import HINTS_FILE, Descriptions, Indexer, IndexProgress, IndexSettings, Outcome, Stage
from glyphseek.metadata import Metadata
from glyphseek.ports import blob_key
from glyphseek.tokens import unpack
from glyphseek.types import ImageFeatures, RgbImage


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(root=tmp_path)


def test_every_photo_gets_a_row_and_a_blob_with_equal_vectors(gallery: Gallery) -> None:
    write_photos(gallery.photos, 9)
    report = gallery.indexer().run(gallery.photos)
    assert (report.outcome, report.found, report.added, report.encoded) == (Outcome.COMPLETE, 9, 9, 9)
    assert {name for names in gallery.names() for name in names} == {f"{n:04d}.png" for n in range(9)}
    for image_id, record in gallery.vectors.records.items():
        blob = gallery.features.get([blob_key(FINGERPRINT, image_id)])[0]
        assert blob is not None
        instances = unpack(blob, fingerprint=FINGERPRINT).instances
        assert instances is not None
        assert len(instances) == record.instance_count
        np.testing.assert_array_equal(instances.vectors_ND, gallery.vectors.vectors[image_id])
        assert (record.width, record.height) == (48, 32)
        assert image_id == record.content_hash[:32]


def test_a_blob_is_always_written_before_its_row(gallery: Gallery) -> None:
    write_photos(gallery.photos, 7)
    gallery.indexer(IndexSettings(commit_images=2)).run(gallery.photos)
    for image_id in gallery.vectors.records:
        assert gallery.journal.index(f"blob {image_id}") < gallery.journal.index(f"row {image_id}")


def test_indexing_again_changes_and_encodes_nothing(gallery: Gallery) -> None:
    write_photos(gallery.photos, 5)
    gallery.indexer().run(gallery.photos)
    journal, encoded = list(gallery.journal), list(gallery.model.encoded)
    report = gallery.indexer().run(gallery.photos)
    assert (report.unchanged, report.added, report.renamed, report.removed) == (5, 0, 0, 0)
    assert gallery.journal == journal
    assert gallery.model.encoded == encoded


def test_files_with_trusted_stamps_are_not_read_again(gallery: Gallery) -> None:
    write_photos(gallery.photos, 2)
    long_after = Indexer(
        gallery.model, gallery.vectors, gallery.features, gallery=gallery.folder, now_ns=lambda: 4 * 10**18
    )
    long_after.run(gallery.photos)
    hints = json.loads((gallery.folder / HINTS_FILE).read_text())
    first, second = hints["files"]["0000.png"], hints["files"]["0001.png"]
    first[3], second[3] = second[3], first[3]
    (gallery.folder / HINTS_FILE).write_text(json.dumps(hints))
    # Hashes that a reader would find wrong are believed, so nothing was read.
    assert gallery.indexer().run(gallery.photos).renamed == 2


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]"])
def test_lost_or_damaged_hints_cost_nothing_but_reading(gallery: Gallery, content: bytes | None) -> None:
    write_photos(gallery.photos, 3)
    gallery.indexer().run(gallery.photos)
    (gallery.folder / HINTS_FILE).unlink()
    if content is not None:
        (gallery.folder / HINTS_FILE).write_bytes(content)
    report = gallery.indexer().run(gallery.photos)
    assert (report.unchanged, report.encoded, report.renamed, report.removed) == (3, 0, 0, 0)


def test_a_photo_overwritten_at_once_by_one_of_equal_size_and_time_is_noticed(gallery: Gallery) -> None:
    path = gallery.photos / "photo.bmp"
    path.write_bytes(photo_bytes(1, image_format="BMP"))
    status = path.stat()
    gallery.indexer().run(gallery.photos)
    path.write_bytes(photo_bytes(2, image_format="BMP"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    report = gallery.indexer().run(gallery.photos)
    assert (report.added, report.removed) == (1, 1)


def test_two_files_of_one_content_are_one_image_with_two_names(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    (gallery.photos / "copy").mkdir()
    shutil.copy(gallery.photos / "0000.png", gallery.photos / "copy" / "again.png")
    report = gallery.indexer().run(gallery.photos)
    assert (report.found, report.added, len(gallery.model.encoded)) == (2, 1, 1)
    assert gallery.names() == {("0000.png", "copy/again.png")}


def test_a_new_copy_and_a_rename_change_names_without_encoding_or_changing_vectors(gallery: Gallery) -> None:
    write_photos(gallery.photos, 3)
    gallery.indexer().run(gallery.photos)
    before = {image_id: array.copy() for image_id, array in gallery.vectors.vectors.items()}
    (gallery.photos / "0000.png").rename(gallery.photos / "renamed.png")
    shutil.copy(gallery.photos / "0001.png", gallery.photos / "copied.png")
    report = gallery.indexer().run(gallery.photos)
    assert (report.renamed, report.added, report.removed, len(gallery.model.encoded)) == (2, 0, 0, 3)
    assert gallery.names() == {("renamed.png",), ("0001.png", "copied.png"), ("0002.png",)}
    assert before.keys() == gallery.vectors.vectors.keys()
    for image_id, array in before.items():
        np.testing.assert_array_equal(array, gallery.vectors.vectors[image_id])


def test_what_is_said_of_photos_reaches_new_and_known_ones_and_stays(gallery: Gallery) -> None:
    write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos, descriptions=Descriptions(by_name={"0000.png": Metadata({"city": "Oslo"})}))
    assert metadata_of(gallery) == {("0000.png",): {"city": "Oslo"}, ("0001.png",): {}}
    before = {image_id: array.copy() for image_id, array in gallery.vectors.vectors.items()}

    said = Descriptions(by_name={"0001.png": Metadata({"year": 2021})})
    report = gallery.indexer().run(gallery.photos, descriptions=said)
    assert (report.described, report.unchanged, report.renamed, report.encoded) == (1, 2, 0, 0)
    assert metadata_of(gallery) == {("0000.png",): {"city": "Oslo"}, ("0001.png",): {"year": 2021.0}}
    for image_id, array in before.items():
        np.testing.assert_array_equal(array, gallery.vectors.vectors[image_id])

    assert gallery.indexer().run(gallery.photos, descriptions=said).described == 0
    assert gallery.indexer().run(gallery.photos).described == 0
    assert metadata_of(gallery) == {("0000.png",): {"city": "Oslo"}, ("0001.png",): {"year": 2021.0}}


def test_of_two_names_of_one_content_the_first_that_is_mentioned_counts(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    shutil.copy(gallery.photos / "0000.png", gallery.photos / "b.png")
    shutil.copy(gallery.photos / "0000.png", gallery.photos / "c.png")
    said = Descriptions(by_name={"c.png": Metadata({"of": "c"}), "b.png": Metadata({"of": "b"})})
    gallery.indexer().run(gallery.photos, descriptions=said)
    assert metadata_of(gallery) == {("0000.png", "b.png", "c.png"): {"of": "b"}}

    (gallery.photos / "b.png").unlink()
    report = gallery.indexer().run(gallery.photos, descriptions=said)
    assert (report.renamed, report.described) == (1, 0)
    assert metadata_of(gallery) == {("0000.png", "c.png"): {"of": "c"}}


def metadata_of(gallery: Gallery) -> dict[tuple[str, ...], dict[str, object]]:
    return {record.names: dict(record.metadata) for record in gallery.vectors.records.values()}


def test_deleted_photos_are_removed_row_first_and_blob_after(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 3)
    gallery.indexer().run(gallery.photos)
    gone = next(record.image_id for record in gallery.vectors.scan() if record.names == ("0001.png",))
    paths[1].unlink()
    report = gallery.indexer().run(gallery.photos)
    assert report.removed == 1
    assert gallery.journal[-2:] == [f"delete row {gone}", f"delete blob {gone}"]
    assert gallery.names() == {("0000.png",), ("0002.png",)}
    assert len(gallery.features.content()) == 2


def test_a_changed_photo_replaces_its_old_image(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    before = set(gallery.vectors.records)
    paths[0].write_bytes(photo_bytes(77))
    report = gallery.indexer().run(gallery.photos)
    assert (report.added, report.removed, report.unchanged) == (1, 1, 1)
    assert len(set(gallery.vectors.records) & before) == 1
    assert gallery.names() == {("0000.png",), ("0001.png",)}


def test_missing_photos_stay_when_the_setting_says_so_but_a_changed_one_is_replaced(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    paths[0].unlink()
    paths[1].write_bytes(photo_bytes(99))
    report = gallery.indexer(IndexSettings(keep_missing=True)).run(gallery.photos)
    assert (report.removed, report.added) == (1, 1)
    assert gallery.names() == {("0000.png",), ("0001.png",)}


def test_the_next_batch_is_with_the_model_before_the_last_one_ends(gallery: Gallery) -> None:
    write_photos(gallery.photos, 8)
    both = threading.Barrier(2, timeout=30)

    def wait_for_the_other(_images: Sequence[RgbImage]) -> None:
        both.wait()

    gallery.model.before_encode = wait_for_the_other

    report = gallery.indexer(IndexSettings(batch_images=4)).run(gallery.photos)

    assert (report.outcome, report.encoded, len(report.skipped)) == (Outcome.COMPLETE, 8, 0)
    assert report.encoder_seconds <= report.seconds


def test_a_gallery_inside_the_folder_is_not_indexed(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    write_photos(gallery.folder, 3, first=10)
    report = gallery.indexer().run(gallery.root)
    assert (report.found, gallery.names()) == (1, {("photos/0000.png",)})


def test_another_folder_is_refused_unless_the_move_is_allowed(gallery: Gallery, tmp_path: Path) -> None:
    write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    write_photos(tmp_path / "other", 1, first=5)
    with pytest.raises(SettingError, match="other"):
        gallery.indexer().run(tmp_path / "other")
    assert len(gallery.vectors.records) == 2
    gallery.photos.rename(tmp_path / "moved")
    report = gallery.indexer(IndexSettings(allow_move=True)).run(tmp_path / "moved")
    assert (report.unchanged, report.removed, report.added) == (2, 0, 0)


def test_a_folder_that_is_not_there_is_an_error_and_changes_nothing(gallery: Gallery) -> None:
    write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    shutil.rmtree(gallery.photos)
    with pytest.raises(ImageUnreadable, match="photos"):
        gallery.indexer().run(gallery.photos)
    assert len(gallery.vectors.records) == 2


def test_rows_without_names_belong_to_no_folder_and_stay(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    gallery.indexer().run(gallery.photos)
    record = next(gallery.vectors.scan())
    foreign = replace(record, image_id="caller-1", content_hash="f" * 64, names=())
    gallery.vectors.put([foreign], [np.zeros((0, 8), dtype=np.float32)])
    gallery.indexer().run(gallery.photos)
    assert gallery.vectors.records["caller-1"] == foreign


def test_rows_are_committed_several_at_a_time(gallery: Gallery) -> None:
    write_photos(gallery.photos, 32)
    gallery.indexer(IndexSettings(batch_images=4, commit_images=16, commit_s=1e9)).run(gallery.photos)
    assert gallery.vectors.puts == 2
    other = Gallery(root=gallery.root)
    other.indexer(IndexSettings(batch_images=4, commit_images=1000, commit_s=0)).run(gallery.photos)
    assert other.vectors.puts == 8


def test_progress_counts_up_to_the_total_and_names_its_stages(gallery: Gallery) -> None:
    write_photos(gallery.photos, 10)
    (gallery.photos / "bad.jpg").touch()
    seen: list[IndexProgress] = []
    gallery.indexer(IndexSettings(batch_images=3)).run(gallery.photos, on_progress=seen.append)
    assert [stage for stage in Stage if any(event.stage is stage for event in seen)] == list(Stage)
    assert all(first.done <= second.done for first, second in pairwise(seen))
    assert (seen[-1].done, seen[-1].total, seen[-1].encoded, seen[-1].skipped) == (11, 11, 10, 1)


def test_the_report_is_json_with_rates(gallery: Gallery) -> None:
    write_photos(gallery.photos, 3)
    (gallery.photos / "bad.jpg").touch()
    report = gallery.indexer().run(gallery.photos)
    document = json.loads(json.dumps(report.as_json()))
    assert document["outcome"] == "complete"
    assert document["skipped"] == [
        {"name": "bad.jpg", "kind": "ImageUnreadable", "message": "the file is empty (0 bytes)"}
    ]
    assert 0 < document["encoder_busy_fraction"] <= 1
    assert document["images_per_second"] == pytest.approx(3 / document["seconds"], rel=1e-3)


def test_a_method_with_a_global_vector_gets_one_row_for_each_image(gallery: Gallery) -> None:
    class GlobalModel(FakeModel):
        def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
            vector = np.zeros(8, dtype=np.float32)
            vector[2] = 1.0
            return [ImageFeatures(global_vector_D=vector) for _ in images]

    write_photos(gallery.photos, 3)
    gallery.model = GlobalModel()
    assert gallery.indexer().run(gallery.photos).added == 3
    assert {record.instance_count for record in gallery.vectors.scan()} == {0}
    for array in gallery.vectors.vectors.values():
        np.testing.assert_array_equal(array, np.eye(8, dtype=np.float32)[2:3])
