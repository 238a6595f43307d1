"""Real processes, really killed at random moments."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from end_to_end.stores import StoreKind, open_features, open_vectors
from indexing.gallery_fakes import FINGERPRINT, WIDTH, FakeModel, write_photos

from glyphseek.images import read_image
from glyphseek.indexing import collect_garbage, verify
from glyphseek.indexing.opening import hash_content, id_of
from glyphseek.ports import blob_key
from glyphseek.types import ImageRecord

TESTS = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("index_worker.py")
PHOTOS = 40
SECONDS = 0.02  # for each photo: who watches has its turn before all are done, on a busy machine too
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Place:
    """A folder of photos and the galleries beside it."""

    root: Path
    kind: StoreKind

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    def gallery(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def start(self, name: str, *, seconds: float = SECONDS, file_bytes: int | None = None) -> subprocess.Popen[bytes]:
        log = self.log(name) if file_bytes is None else Path(os.devnull)
        paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "shared")])
        return subprocess.Popen(
            [
                sys.executable,
                WORKER,
                self.photos,
                self.gallery(name),
                log,
                str(seconds),
                self.kind,
                str(file_bytes or 0),
            ],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def finish(self, name: str) -> None:
        process = self.start(name, seconds=0.0)
        _, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, errors.decode()

    def encoded(self, name: str) -> list[str]:
        """Return what the model was given so far; a line that a kill cut short is left out."""
        log = self.log(name)
        return [line for line in log.read_text().splitlines() if len(line) == 64] if log.exists() else []

    def committed(self, name: str) -> dict[str, ImageRecord]:
        with closing(open_vectors(self.gallery(name), self.kind)) as vectors:
            return {record.image_id: record for record in vectors.scan()}

    def content(
        self, name: str
    ) -> tuple[dict[str, ImageRecord], list[set[tuple[str, int | None, float]]], dict[str, bytes]]:
        """Return records, what a search along each axis finds, and blobs."""
        features = open_features(self.gallery(name))
        keys = list(features.scan())
        blobs = {key: blob for key, blob in zip(keys, features.get(keys), strict=True) if blob is not None}
        with closing(open_vectors(self.gallery(name), self.kind)) as vectors:
            answers = vectors.search(np.eye(WIDTH, dtype=np.float32), 1000)
            found = [{(hit.image_id, hit.instance, round(hit.similarity, 4)) for hit in hits} for hits in answers]
            return {record.image_id: record for record in vectors.scan()}, found, blobs

    def kept(self, name: str) -> set[str]:
        """Return the digests of the photos that have a blob, committed or not."""
        keys = set(open_features(self.gallery(name)).scan())
        files = [path for path in sorted(self.photos.iterdir()) if path.is_file()]
        ids = {path: id_of(hash_content(path.read_bytes())) for path in files}
        return {digest_of(path) for path in files if blob_key(FINGERPRINT, ids[path]) in keys}

    def pixels_digests(self, records: dict[str, ImageRecord]) -> set[str]:
        names = [name for record in records.values() for name in record.names if (self.photos / name).exists()]
        return {digest_of(self.photos / name) for name in names}

    def assert_sound(self, name: str) -> None:
        with closing(open_vectors(self.gallery(name), self.kind)) as vectors:
            report = verify(vectors, open_features(self.gallery(name)), fingerprint=FINGERPRINT)
        assert report.is_sound, report.problems

    def collect_garbage(self, name: str) -> None:
        with closing(open_vectors(self.gallery(name), self.kind)) as vectors:
            collect_garbage(vectors, open_features(self.gallery(name)), fingerprint=FINGERPRINT)


@pytest.fixture(params=["sqlite", "milvus"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return make_place(tmp_path, request.param)


def make_place(root: Path, kind: StoreKind) -> Place:
    made = Place(root=root, kind=kind)
    write_photos(made.photos, PHOTOS)
    return made


def digest_of(path: Path) -> str:
    """Return what the log calls the photo."""
    return hashlib.sha256(FakeModel().prepare(read_image(path)).tobytes()).hexdigest()


def kill_after(place: Place, name: str, *, encodes: int, seconds: float) -> None:
    """Start a run and kill it once the model was given so many more photos and a while has passed."""
    target = len(place.encoded(name)) + encodes
    process = place.start(name)
    deadline = time.monotonic() + TIMEOUT_S
    while len(place.encoded(name)) < target and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)


def test_a_gallery_killed_again_and_again_ends_as_one_indexed_in_one_go(place: Place) -> None:
    moments = random.Random(0)
    for kills in range(20):
        if kills >= 4 and place.committed("killed"):  # on a slow machine the first few may come before any row
            break
        kept = place.kept("killed")
        before = len(place.encoded("killed"))
        kill_after(place, "killed", encodes=moments.randrange(1, 9), seconds=moments.random() * 0.03)
        assert kept.isdisjoint(place.encoded("killed")[before:])
        assert place.pixels_digests(place.committed("killed")) <= place.kept("killed")
        place.assert_sound("killed")
    assert 0 < len(place.committed("killed")) < PHOTOS
    kept = place.kept("killed")
    before = len(place.encoded("killed"))
    place.finish("killed")
    assert kept.isdisjoint(place.encoded("killed")[before:])
    place.finish("straight")
    assert place.content("killed") == place.content("straight")


def kill_at_a_blob(place: Place, name: str) -> set[str]:
    """Start a run, kill it when it has written a blob, and return the photos whose blobs have no row by then."""
    features = open_features(place.gallery(name))
    before = sum(1 for _ in features.scan())
    process = place.start(name, seconds=0.3)  # the row waits as long before it is written
    deadline = time.monotonic() + TIMEOUT_S
    while sum(1 for _ in features.scan()) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    return place.kept(name) - place.pixels_digests(place.committed(name))


def test_a_blob_that_a_kill_left_without_its_row_spares_its_photo_the_model(place: Place) -> None:
    without_row: set[str] = set()
    for _ in range(4):  # a machine that looks away for long lets the row be written
        without_row = without_row or kill_at_a_blob(place, "killed")
    assert without_row
    kept = place.kept("killed")
    before = len(place.encoded("killed"))

    place.finish("killed")

    again = place.encoded("killed")[before:]
    assert len(again) == len(set(again)) == PHOTOS - len(kept)
    assert kept.isdisjoint(again)
    place.finish("straight")
    assert place.content("killed") == place.content("straight")


def test_killed_while_renaming_and_removing_it_ends_as_one_indexed_in_one_go(place: Place) -> None:
    place.finish("killed")
    for number, path in enumerate(sorted(place.photos.iterdir())):
        if number % 2:
            path.rename(path.with_stem(f"new{number:04d}"))
        elif number % 4:
            path.unlink()
    shutil.copy(place.photos / "0000.png", place.photos / "copy.png")
    moments = random.Random(1)
    for _ in range(3):
        process = place.start("killed", seconds=0.02)
        time.sleep(0.5 + moments.random() * 0.5)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
        place.assert_sound("killed")
    place.finish("killed")
    place.collect_garbage("killed")
    place.finish("straight")
    assert place.content("killed") == place.content("straight")
    assert len(place.encoded("killed")) == PHOTOS


def test_ctrl_c_ends_the_run_with_everything_encoded_committed(place: Place) -> None:
    process = place.start("stopped", seconds=0.1)
    while len(place.encoded("stopped")) < 8 and process.poll() is None:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)  # to all processes of the group, as a terminal does
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 3, errors.decode()
    assert output.startswith(b"cancelled")
    assert place.pixels_digests(place.committed("stopped")) <= set(place.encoded("stopped"))
    # A batch that the model was busy with when the signal came may be lost, nothing else.
    assert len(place.encoded("stopped")) - len(place.committed("stopped")) <= 2
    place.finish("stopped")
    place.finish("straight")
    assert place.content("stopped") == place.content("straight")


def test_a_file_system_that_takes_no_more_ends_the_run_cleanly_and_the_next_goes_on(tmp_path: Path) -> None:
    place = make_place(tmp_path, "sqlite")  # Milvus Lite is a process of its own, which would inherit the limit
    place.finish("full")
    before = place.content("full")
    write_photos(place.photos, 3, first=100)
    process = place.start("full", file_bytes=50)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 3, errors.decode()
    assert output.startswith(b"full 0 no space left")
    assert place.content("full") == before
    place.finish("full")
    place.finish("straight")
    assert place.content("full") == place.content("straight")
