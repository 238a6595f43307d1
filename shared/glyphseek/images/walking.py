"""Finding the files of a folder: every one once, in a fixed order, whatever links say."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from glyphseek.errors import ImageUnreadable
from glyphseek.images.files import FileStamp
from glyphseek.images.names import name_of

_Inode = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file below the folder: its name for people and stores, its place on disk, and its stamp."""

    name: str
    place: str
    stamp: FileStamp

    @property
    def path(self) -> Path:
        """Return the place as a path; made on demand, since making it is a large part of a long walk."""
        return Path(self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A folder that cannot be listed, or an entry that cannot be looked at (a dangling link, a failing disk).

    `is_gone`: there is nothing at all at that place, so that what was there before is known to be deleted.
    """

    name: str
    path: Path
    is_folder: bool
    is_gone: bool
    error: ImageUnreadable


def find_files(folder: Path, *, exclude: Collection[Path] = ()) -> Iterator[FoundFile | Unreachable]:
    """Yield every file below `folder`, depth first, each folder's entries ordered by the bytes of their names.

    Entries whose name starts with a dot, and the folders in `exclude`, are passed over. A link into the folder itself
    is passed over, as its target is found anyway; a link to a place outside is followed once; a link to a folder that
    holds `folder` is a loop and is not followed. Raises ImageUnreadable when `folder` itself cannot be listed.
    """
    try:
        root = folder.resolve(strict=True)
        inode = _inode(root.stat())
        os.scandir(root).close()
    except (OSError, RuntimeError) as error:
        raise ImageUnreadable(f"the folder {str(folder)!r} cannot be read: {error}") from error
    walk = _Walk(root=root, excluded=frozenset(_inodes_of(exclude)))
    walk.visited.add(inode)
    return walk.files_in(str(root), "")


@dataclass(slots=True, kw_only=True)
class _Walk:
    root: Path
    excluded: frozenset[_Inode]
    visited: set[_Inode] = field(default_factory=set[_Inode])

    def files_in(self, folder: str, prefix: str) -> Iterator[FoundFile | Unreachable]:
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            yield _unreachable(folder, prefix.removesuffix("/"), error, is_folder=True)
            return
        for entry in sorted(found, key=_bytes_of_name):
            yield from self._look_at(entry, prefix + name_of((entry.name,)))

    def _look_at(self, entry: os.DirEntry[str], name: str) -> Iterator[FoundFile | Unreachable]:
        try:
            status = entry.stat()
            if entry.is_symlink() and self._is_found_elsewhere(Path(entry.path), status):
                return
        except (OSError, RuntimeError) as error:
            yield _unreachable(entry.path, name, error, is_folder=False)
            return
        if stat.S_ISDIR(status.st_mode):
            if self._enter(status):
                yield from self.files_in(entry.path, f"{name}/")
        elif stat.S_ISREG(status.st_mode):
            yield FoundFile(name=name, place=entry.path, stamp=FileStamp.of(status))

    def _enter(self, status: os.stat_result) -> bool:
        inode = _inode(status)
        if inode in self.visited or inode in self.excluded:
            return False
        self.visited.add(inode)
        return True

    def _is_found_elsewhere(self, path: Path, status: os.stat_result) -> bool:
        """Tell whether a link adds nothing: its target is in the folder, holds the folder, or was followed before."""
        target = path.resolve(strict=True)
        if self.root.is_relative_to(target):
            return True
        if target.is_relative_to(self.root):
            return not any(part.startswith(".") for part in target.relative_to(self.root).parts)
        if stat.S_ISDIR(status.st_mode):
            return False
        inode = _inode(status)
        if inode in self.visited:
            return True
        self.visited.add(inode)
        return False


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


def _inodes_of(paths: Collection[Path]) -> Iterator[_Inode]:
    for path in paths:
        if path.exists():
            yield _inode(path.stat())


def _bytes_of_name(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _unreachable(place: str, name: str, error: Exception, *, is_folder: bool) -> Unreachable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Unreachable(
        name=name,
        path=Path(place),
        is_folder=is_folder,
        is_gone=isinstance(error, FileNotFoundError),
        error=ImageUnreadable(f"cannot be reached: {reason}"),
    )
