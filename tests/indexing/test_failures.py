"""What goes wrong while indexing: bad files, models that choke, full disks, Ctrl-C and damaged blobs."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, FakeModel, Gallery, photo_bytes, write_photos

from glyphseek.images import ImageLimits, read_image
from glyphseek.indexing import IndexSettings, Outcome, verify
from glyphseek.indexing.batches import calls_at_once
from glyphseek.types import ImageFeatures, RgbImage


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(root=tmp_path)


def test_a_photo_that_turned_bad_is_skipped_and_its_old_image_removed(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    paths[0].write_bytes(b"")
    report = gallery.indexer().run(gallery.photos)
    assert [(skip.name, skip.kind) for skip in report.skipped] == [("0000.png", "ImageUnreadable")]
    assert gallery.names() == {("0001.png",)}


def test_a_photo_that_cannot_be_read_just_now_keeps_its_image(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    paths[0].unlink()
    paths[0].symlink_to(paths[0])
    report = gallery.indexer().run(gallery.photos)
    assert [skip.name for skip in report.skipped] == ["0000.png"]
    assert report.removed == 0
    assert ("0000.png",) in gallery.names()


def test_bad_files_are_skipped_with_their_reasons_and_the_others_indexed(gallery: Gallery) -> None:
    write_photos(gallery.photos, 3)
    (gallery.photos / "empty.jpg").touch()
    (gallery.photos / "empty too.jpg").touch()
    (gallery.photos / "garbage.png").write_bytes(b"no image at all")
    (gallery.photos / "cut.png").write_bytes(photo_bytes(1)[:200])
    (gallery.photos / "notes.txt").write_text("not asked for")
    (gallery.photos / "gone.jpg").symlink_to("nowhere")
    (gallery.photos / "folder.jpg").mkdir()
    report = gallery.indexer().run(gallery.photos)
    assert [(skip.name, skip.kind) for skip in report.skipped] == [
        ("cut.png", "ImageUnreadable"),
        ("empty too.jpg", "ImageUnreadable"),
        ("empty.jpg", "ImageUnreadable"),
        ("garbage.png", "ImageUnsupported"),
        ("gone.jpg", "ImageUnreadable"),
    ]
    assert all(skip.message for skip in report.skipped)
    assert (report.outcome, report.added, report.passed_over) == (Outcome.COMPLETE, 3, 1)


def test_photos_over_the_limits_are_skipped(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    (gallery.photos / "wide.png").write_bytes(photo_bytes(5, size=(200, 100)))
    (gallery.photos / "heavy.bmp").write_bytes(photo_bytes(6, image_format="BMP") + bytes(20_000))
    limits = ImageLimits(max_pixels=10_000, max_bytes=20_000)
    (gallery.photos / "wide.png").write_bytes(photo_bytes(5, size=(200, 60)))
    report = gallery.indexer(IndexSettings(limits=limits)).run(gallery.photos)
    assert [(skip.name, skip.kind) for skip in report.skipped] == [
        ("heavy.bmp", "ImageTooLarge"),
        ("wide.png", "ImageTooLarge"),
    ]
    assert report.added == 1


def test_names_that_are_not_utf8_are_valid_unicode_in_records(gallery: Gallery) -> None:
    path = os.path.join(os.fsencode(gallery.photos), b"caf\xe9.png")
    with open(path, "wb") as file:
        file.write(photo_bytes(1))
    gallery.indexer().run(gallery.photos)
    assert gallery.names() == {("caf\\xe9.png",)}
    report = gallery.indexer().run(gallery.photos)
    assert (report.unchanged, report.renamed) == (1, 0)


def test_one_image_that_the_model_chokes_on_is_skipped_alone(gallery: Gallery) -> None:
    write_photos(gallery.photos, 8)
    bad = gallery.model.prepare(read_image(gallery.photos / "0003.png"))

    def choke(images: Sequence[RgbImage]) -> None:
        if any(np.array_equal(image, bad) for image in images):
            raise ZeroDivisionError("odd picture")

    gallery.model.before_encode = choke
    logging.disable(logging.CRITICAL)
    report = gallery.indexer().run(gallery.photos)
    logging.disable(logging.NOTSET)
    assert [(skip.name, skip.kind, skip.message) for skip in report.skipped] == [
        ("0003.png", "ZeroDivisionError", "odd picture")
    ]
    assert report.added == 7


def test_one_image_that_cannot_be_prepared_is_skipped_alone(gallery: Gallery) -> None:
    write_photos(gallery.photos, 4)
    (gallery.photos / "thin.png").write_bytes(photo_bytes(9, size=(900, 8)))

    def choke(image: RgbImage) -> None:
        if image.shape[0] == 8:
            raise ValueError("too thin")

    gallery.model.before_prepare = choke
    report = gallery.indexer().run(gallery.photos)
    assert [(skip.name, skip.message) for skip in report.skipped] == [("thin.png", "too thin")]
    assert report.added == 4


def test_a_full_disk_keeps_what_was_acknowledged_and_the_next_run_goes_on(gallery: Gallery) -> None:
    write_photos(gallery.photos, 20)
    gallery.features.capacity = 9
    report = gallery.indexer(IndexSettings(commit_images=3)).run(gallery.photos)
    assert report.outcome is Outcome.FULL
    assert "no space left" in report.message
    assert report.added == len(gallery.vectors.records) == 9
    gallery.features.capacity = None
    report = gallery.indexer().run(gallery.photos)
    assert (report.outcome, len(gallery.vectors.records)) == (Outcome.COMPLETE, 20)
    assert verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT).is_sound


def test_a_full_disk_removes_nothing_from_the_gallery(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 4)
    gallery.indexer().run(gallery.photos)
    paths[0].unlink()
    write_photos(gallery.photos, 1, first=50)
    gallery.features.capacity = 4
    report = gallery.indexer().run(gallery.photos)
    assert (report.outcome, report.removed, len(gallery.vectors.records)) == (Outcome.FULL, 0, 4)


def test_ctrl_c_commits_what_was_encoded_and_the_next_run_encodes_only_the_rest(gallery: Gallery) -> None:
    third_batch = gallery.model.prepare(read_image(write_photos(gallery.photos, 20)[8]))

    def interrupt(images: Sequence[RgbImage]) -> None:
        if np.array_equal(images[0], third_batch):
            raise KeyboardInterrupt

    gallery.model.before_encode = interrupt
    report = gallery.indexer(IndexSettings(batch_images=4)).run(gallery.photos)
    # Batches that the model was given besides the third are committed too, before it and after it.
    encoded = len(gallery.model.encoded)
    assert (report.outcome, report.encoded) == (Outcome.CANCELLED, encoded)
    assert 8 <= report.added == len(gallery.vectors.records) == encoded <= 8 + 4 * (calls_at_once(4) - 1)
    gallery.model.before_encode = lambda images: None
    report = gallery.indexer().run(gallery.photos)
    assert (report.outcome, report.added, report.unchanged) == (Outcome.COMPLETE, 20 - encoded, encoded)
    assert len(gallery.model.encoded) == len(set(gallery.model.encoded)) == 20


def test_a_blob_left_without_a_row_is_used_instead_of_encoding_again(gallery: Gallery) -> None:
    write_photos(gallery.photos, 6)
    gallery.indexer().run(gallery.photos)
    records, vectors = dict(gallery.vectors.records), dict(gallery.vectors.vectors)
    gallery.vectors.records.clear()
    report = gallery.indexer().run(gallery.photos)
    assert (report.added, report.reused, report.encoded, len(gallery.model.encoded)) == (6, 6, 0, 6)
    assert gallery.vectors.records == records
    for image_id, array in vectors.items():
        np.testing.assert_array_equal(gallery.vectors.vectors[image_id], array)


def test_a_damaged_blob_left_without_a_row_is_written_anew(gallery: Gallery) -> None:
    write_photos(gallery.photos, 1)
    gallery.indexer().run(gallery.photos)
    (key, blob), *_ = gallery.features.content().items()
    gallery.vectors.records.clear()
    gallery.features.put(key, blob[:-1])
    report = gallery.indexer().run(gallery.photos)
    assert (report.reused, report.encoded) == (0, 1)
    assert gallery.features.content() == {key: blob}


def test_an_image_whose_blob_is_damaged_is_removed_on_renaming_and_encoded_by_the_next_run(gallery: Gallery) -> None:
    paths = write_photos(gallery.photos, 2)
    gallery.indexer().run(gallery.photos)
    (key, blob), *_ = gallery.features.content().items()
    gallery.features.put(key, blob[:-1])
    for path in paths:
        path.rename(path.with_stem(f"new{path.stem}"))
    report = gallery.indexer().run(gallery.photos)
    assert (report.renamed, [skip.kind for skip in report.skipped]) == (1, ["BlobDamaged"])
    assert gallery.indexer().run(gallery.photos).encoded == 1
    assert gallery.names() == {("new0000.png",), ("new0001.png",)}


def test_features_that_are_not_finite_are_never_committed(gallery: Gallery) -> None:
    write_photos(gallery.photos, 6)
    clean = FakeModel.encode_images

    class BrokenModel(FakeModel):
        def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
            found = clean(self, images)
            for features in found:
                if features.instances is not None:
                    features.instances.vectors_ND[:1] = np.nan
            return found

    gallery.model = BrokenModel()
    report = gallery.indexer().run(gallery.photos)
    assert report.skipped
    assert all(skip.kind == "InputError" for skip in report.skipped)
    assert len(report.skipped) + report.added == 6
    assert all(np.isfinite(array).all() for array in gallery.vectors.vectors.values())


def test_features_that_cannot_be_searched_are_refused_without_a_blob(gallery: Gallery) -> None:
    class EmptyModel(FakeModel):
        def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
            return [ImageFeatures() for _ in images]

    write_photos(gallery.photos, 1)
    gallery.model = EmptyModel()
    report = gallery.indexer().run(gallery.photos)
    assert [skip.kind for skip in report.skipped] == ["InputError"]
    assert gallery.features.content() == {}
