from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glyphseek.errors import ImageUnreadable
from glyphseek.images import FoundFile, Unreachable, find_files, is_image_file

NOBODY = 65534


def names(folder: Path, *exclude: Path) -> list[str]:
    return [entry.name for entry in find_files(folder, exclude=exclude)]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@contextmanager
def rights_of_nobody() -> Generator[None]:
    """Look at files as a user without rights; root would be let in everywhere. Holds for this thread alone."""
    libc = ctypes.CDLL(None)
    libc.setfsuid(NOBODY)
    try:
        yield
    finally:
        libc.setfsuid(os.getuid())


def test_files_are_found_recursively_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a.jpg", "é.jpg", "B.jpg", "b.jpg"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["B.jpg", "a.jpg", "b/1.jpg", "b/2.jpg", "b.jpg", "é.jpg"]


def test_a_found_file_carries_its_path_and_stamp(tmp_path: Path) -> None:
    path = touch(tmp_path / "a" / "b.jpg")
    (found,) = find_files(tmp_path)
    assert isinstance(found, FoundFile)
    assert found.path.samefile(path)
    assert (found.stamp.size, found.stamp.modified_ns) == (1, path.stat().st_mtime_ns)


def test_hidden_files_and_folders_and_excluded_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.jpg", ".hidden.jpg", ".thumbnails/b.jpg", "gallery/c.jpg", "album/gallery/d.jpg"):
        touch(tmp_path / name)
    assert names(tmp_path, tmp_path / "gallery", tmp_path / "not there") == ["a.jpg", "album/gallery/d.jpg"]


def test_links_to_what_is_found_anyway_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "album" / "a.jpg")
    (tmp_path / "0 link.jpg").symlink_to("album/a.jpg")
    (tmp_path / "0 album").symlink_to("album")
    assert names(tmp_path) == ["album/a.jpg"]


def test_links_to_the_outside_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "outside" / "deep" / "a.jpg")
    touch(tmp_path / "one.jpg")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("x", "y"):
        (folder / name).symlink_to(tmp_path / "outside")
        (folder / f"{name}.jpg").symlink_to(tmp_path / "one.jpg")
    (folder / "z").symlink_to(tmp_path / "outside" / "deep")
    assert names(folder) == ["x/deep/a.jpg", "x.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    touch(folder / "a" / "1.jpg")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "above").symlink_to(tmp_path)
    (folder / "a" / "self").symlink_to(".")
    (folder / "there").symlink_to(tmp_path / "elsewhere")
    touch(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    assert names(folder) == ["a/1.jpg", "there/2.jpg"]


def test_a_link_that_leads_nowhere_or_to_itself_is_reported_and_the_walk_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    touch(tmp_path / "c.jpg")
    dangling, loop, found = find_files(tmp_path)
    assert isinstance(dangling, Unreachable)
    assert (dangling.name, dangling.is_gone, dangling.is_folder) == ("a.jpg", True, False)
    assert isinstance(loop, Unreachable)
    assert (loop.name, loop.is_gone) == ("b.jpg", False)
    assert found.name == "c.jpg"


def test_pipes_and_sockets_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(tmp_path) == []


def test_names_that_are_not_utf8_are_escaped_and_the_file_is_still_reached(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"\xff.jpg"), "wb") as file:
        file.write(b"x")
    (found,) = find_files(tmp_path)
    assert found.name == r"\xff.jpg"
    assert found.path.read_bytes() == b"x"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the rights of one thread")
def test_a_folder_without_rights_is_reported_and_the_walk_goes_on() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        touch(folder / "closed" / "a.jpg")
        touch(folder / "open" / "b.jpg")
        (folder / "closed").chmod(0o700 if os.getuid() == 0 else 0)
        with rights_of_nobody():
            closed, found = find_files(folder)
        (folder / "closed").chmod(0o700)
    assert isinstance(closed, Unreachable)
    assert (closed.name, closed.is_folder, closed.is_gone) == ("closed", True, False)
    assert "Permission denied" in str(closed.error)
    assert found.name == "open/b.jpg"


def test_a_folder_that_is_not_there_or_is_a_file_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", touch(tmp_path / "a.jpg")):
        with pytest.raises(ImageUnreadable, match=path.name):
            find_files(path)


def test_files_are_images_by_their_first_bytes_or_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tmp_path / "c.txt").write_bytes(b"BMW builds cars and other things too")
    (tmp_path / "d.xml").write_bytes(b"<boxes/>")
    (tmp_path / "e.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    files = [entry for entry in find_files(tmp_path) if isinstance(entry, FoundFile)]
    assert [file.name for file in files if is_image_file(file)] == ["a.jpg", "b", "e.HEIC"]
