from __future__ import annotations

from pathlib import Path

import pytest

from glyphseek.images import FileStamp
from glyphseek.indexing.hints import FileHints

HASH = "a" * 64
STAMP = FileStamp(size=10, modified_ns=5_000_000_000, changed_ns=6_000_000_000)
LATER_NS = 9_000_000_000


def saved(path: Path) -> FileHints:
    hints = FileHints.load(path)
    hints.remember("a.jpg", STAMP, HASH, read_ns=LATER_NS)
    hints.save(Path("/photos"))
    return FileHints.load(path)


def test_a_remembered_hash_survives_saving(tmp_path: Path) -> None:
    hints = saved(tmp_path / "files.json")
    assert hints.find("a.jpg", STAMP) == HASH
    assert hints.folder == Path("/photos")


@pytest.mark.parametrize(
    "stamp",
    [
        FileStamp(size=11, modified_ns=STAMP.modified_ns, changed_ns=STAMP.changed_ns),
        FileStamp(size=10, modified_ns=STAMP.modified_ns + 1, changed_ns=STAMP.changed_ns),
        FileStamp(size=10, modified_ns=STAMP.modified_ns, changed_ns=STAMP.changed_ns + 1),
    ],
)
def test_any_other_stamp_is_not_believed(tmp_path: Path, stamp: FileStamp) -> None:
    assert saved(tmp_path / "files.json").find("a.jpg", stamp) is None


def test_a_file_changed_within_two_seconds_of_its_reading_is_not_remembered(tmp_path: Path) -> None:
    hints = FileHints.load(tmp_path / "files.json")
    hints.remember("young.jpg", STAMP, HASH, read_ns=STAMP.changed_ns + 2_000_000_000)
    hints.remember("future.jpg", STAMP, HASH, read_ns=0)
    hints.remember("old.jpg", STAMP, HASH, read_ns=STAMP.changed_ns + 2_000_000_001)
    assert [hints.find(name, STAMP) for name in ("young.jpg", "future.jpg", "old.jpg")] == [None, None, HASH]


def test_forgotten_names_are_gone_after_saving(tmp_path: Path) -> None:
    hints = saved(tmp_path / "files.json")
    hints.keep_only(["b.jpg"])
    hints.save(Path("/photos"))
    assert FileHints.load(tmp_path / "files.json").find("a.jpg", STAMP) is None


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    hints = saved(tmp_path / "files.json")
    (tmp_path / "files.json").unlink()
    hints.save(Path("/photos"))
    assert not (tmp_path / "files.json").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"version": 2, "folder": "/photos", "files": {}}',
        b'{"version": 1, "files": {}}',
        b'{"version": 1, "folder": 3, "files": {}}',
        b'{"version": 1, "folder": "/photos", "files": []}',
        b'{"version": 1, "folder": "/photos", "files": {"a.jpg": [10, 5000000000]}}',
        b'{"version": 1, "folder": "/photos", "files": {"a.jpg": [10, 5000000000, 6000000000, "short"]}}',
        b'{"version": 1, "folder": "/photos", "files": {"a.jpg": ["10", 5000000000, 6000000000, "'
        + b"a" * 64
        + b'"]}}',
    ],
)
def test_a_damaged_file_is_the_same_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "files.json"
    path.write_bytes(content)
    hints = FileHints.load(path)
    assert hints.folder is None
    assert hints.find("a.jpg", STAMP) is None


def test_a_place_that_cannot_be_written_is_no_error_and_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "files.json").mkdir()
    hints = FileHints.load(tmp_path / "files.json")
    hints.remember("a.jpg", STAMP, HASH, read_ns=LATER_NS)
    hints.save(Path("/photos"))
    assert [path.name for path in tmp_path.iterdir()] == ["files.json"]


def test_folder_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    hints = FileHints.load(tmp_path / "files.json")
    hints.save(Path("/photos/caf\udce9"))
    assert FileHints.load(tmp_path / "files.json").folder == Path("/photos/caf\udce9")
