from __future__ import annotations

import os
from pathlib import Path

import pytest

from glyphseek.errors import ImageTooLarge, ImageUnreadable, SettingError
from glyphseek.images import FileStamp, ImageLimits, read_file

LIMITS = ImageLimits()


def test_the_whole_file_and_its_stamp_are_returned(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = bytes(range(256)) * 10_000
    path.write_bytes(data)
    content = read_file(path, limits=LIMITS)
    assert content.data == data
    assert content.stamp == FileStamp.of(path.stat())


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(100))
    assert len(read_file(path, limits=ImageLimits(max_bytes=100)).data) == 100
    with pytest.raises(ImageTooLarge, match="100 bytes; the limit is 99"):
        read_file(path, limits=ImageLimits(max_bytes=99))


def test_a_file_whose_size_is_not_told_is_still_bounded() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("needs a file system that tells no sizes (/proc)")
    with pytest.raises(ImageTooLarge, match="more than 10 bytes"):
        read_file(path, limits=ImageLimits(max_bytes=10))


def test_an_error_of_the_disk_while_reading_is_unreadable() -> None:
    path = Path("/proc/self/mem")
    if not path.exists():
        pytest.skip("needs a file that opens and fails to read (/proc/self/mem)")
    with pytest.raises(ImageUnreadable, match="Input/output error"):
        read_file(path, limits=LIMITS)


def test_what_cannot_be_opened_is_unreadable_and_the_reason_is_told(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    for path, reason in [(tmp_path / "gone.jpg", "No such file"), (loop, "symbolic links")]:
        with pytest.raises(ImageUnreadable, match=reason):
            read_file(path, limits=LIMITS)


def test_folders_and_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("folder.jpg", "pipe.jpg"):
        with pytest.raises(ImageUnreadable, match=r"not a regular file|directory"):
            read_file(tmp_path / name, limits=LIMITS)


def test_limits_below_one_are_refused() -> None:
    with pytest.raises(SettingError, match="max_pixels is 0"):
        ImageLimits(max_pixels=0)
