"""A crash at every single operation on the stores, one after the other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, FakeFeatures, FakeModel, FakeVectors, Gallery, write_photos

from glyphseek.images import read_image
from glyphseek.indexing import IndexSettings, collect_garbage, verify
from glyphseek.types import FloatArray, ImageRecord


class Crash(BaseException):
    """The process is gone: nothing catches this on purpose."""


class Fuse:
    """Lets `left` operations through, and none after that."""

    def __init__(self, left: int) -> None:
        self.left = left

    def burn(self) -> None:
        if self.left <= 0:
            raise Crash
        self.left -= 1


class CrashingVectors(FakeVectors):
    fuse = Fuse(10**9)

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        self.fuse.burn()
        super().put(records, vectors)

    def delete(self, image_ids: Sequence[str]) -> None:
        for image_id in image_ids:
            self.fuse.burn()
            super().delete([image_id])


class CrashingFeatures(FakeFeatures):
    fuse = Fuse(10**9)

    def put(self, key: str, blob: bytes) -> None:
        self.fuse.burn()
        super().put(key, blob)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.fuse.burn()
            super().delete([key])


def change_folder(photos: Path) -> None:
    """Rename, copy, delete, replace and add photos."""
    (photos / "0000.png").rename(photos / "new name.png")
    shutil.copy(photos / "0001.png", photos / "copy.png")
    (photos / "0002.png").unlink()
    (photos / "0003.png").unlink()
    shutil.copy(photos / "0004.png", photos / "0005.png")
    write_photos(photos, 4, first=20)


def run_until_it_is_through(gallery: Gallery, step: int) -> None:
    """Run again and again, crashing after `step` operations, until a run ends; check the gallery at every crash."""
    while not run_once(gallery, step):
        assert verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT).is_sound


def run_once(gallery: Gallery, step: int) -> bool:
    """Return whether the run ended by itself; it must encode nothing that was committed before."""
    committed = {
        pixels_digest(gallery.photos / name)
        for record in gallery.vectors.records.values()
        for name in record.names
        if (gallery.photos / name).exists()
    }
    encoded_before = len(gallery.model.encoded)
    CrashingVectors.fuse = CrashingFeatures.fuse = Fuse(step)
    try:
        gallery.indexer(IndexSettings(batch_images=2, commit_images=3, commit_s=1e9)).run(gallery.photos)
    except Crash:
        return False
    finally:
        CrashingVectors.fuse = CrashingFeatures.fuse = Fuse(10**9)
        assert committed.isdisjoint(gallery.model.encoded[encoded_before:])
    return True


def pixels_digest(path: Path) -> str:
    """Return the name under which FakeModel notes that it encoded this photo."""
    return hashlib.sha256(FakeModel().prepare(read_image(path)).tobytes()).hexdigest()


def assert_same_content(first: Gallery, second: Gallery) -> None:
    assert first.vectors.records == second.vectors.records
    assert first.features.content() == second.features.content()
    for image_id, array in first.vectors.vectors.items():
        np.testing.assert_array_equal(array, second.vectors.vectors[image_id])


def crashing_gallery(root: Path) -> Gallery:
    gallery = Gallery(root=root)
    gallery.vectors, gallery.features = CrashingVectors(), CrashingFeatures()
    return gallery


@pytest.mark.parametrize("step", range(1, 16))
def test_whenever_it_crashes_a_row_has_its_blob_and_the_end_is_that_of_one_go(tmp_path: Path, step: int) -> None:
    crashed = crashing_gallery(tmp_path)
    write_photos(crashed.photos, 10)
    run_until_it_is_through(crashed, step)
    change_folder(crashed.photos)
    run_until_it_is_through(crashed, step)
    collect_garbage(crashed.vectors, crashed.features, fingerprint=FINGERPRINT)
    straight = Gallery(root=tmp_path / "straight")
    straight.indexer().run(crashed.photos)
    assert_same_content(crashed, straight)


def test_every_crash_of_a_first_indexing_keeps_what_was_done_before_it(tmp_path: Path) -> None:
    crashed = crashing_gallery(tmp_path)
    write_photos(crashed.photos, 6)
    # Six blobs and two commits of three rows: eight operations, so with one a run the eighth run gets to its end.
    assert [run_once(crashed, 1) for _ in range(8)] == [False] * 7 + [True]
