"""Blobs as files of one folder, each written whole or not at all.

The key `a/b/name` is the file `a/b/HH/name.blob`, where HH are two hex digits of a hash of the name: at a million
blobs under one prefix a folder holds about four thousand files. A key cannot contain a dot, so neither `.blob` files
nor the folder for files being written (`.partial`) can be mistaken for a key. Names of keys differ in case, so
the folder must lie on a file system that tells case apart, unless all keys are of one case.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from glyphseek.errors import StoreError, StoreFull, StoreUnavailable
from glyphseek.features.keys import check_key

_SUFFIX = ".blob"
_PARTIAL = ".partial"
_AHEAD = 64  # files open at once for one reader; a process may have 256 open on some systems
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DirectoryFeatureStore:
    """A feature store over one folder, which is made when it is not there; safe to use from several threads.

    With `fsync` each put reaches the disk before it returns, and so survives a power cut; without, it survives the end
    of the process and is 18 times as fast (84 us against 1.5 ms for 30 kB). Raises StoreUnavailable when the folder
    cannot be made.
    """

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self._folder = str(folder)
        self._partial = os.path.join(self._folder, _PARTIAL)
        self._fsync = fsync
        try:
            os.makedirs(self._partial, exist_ok=True)
        except OSError as error:
            raise _translate(error) from error

    def put(self, key: str, blob: bytes) -> None:
        """Write the blob whole or not at all, replacing what was there.

        Raises StoreFull when there is no space (what was there before stays), StoreUnavailable when the folder cannot
        be written, InputError for a key of another form.
        """
        path = self._path_of(key)
        partial = os.path.join(self._partial, uuid4().hex)
        try:
            try:
                self._write(partial, blob)
                self._move(partial, path)
            except BaseException:
                _remove(partial)
                raise
        except OSError as error:
            raise _translate(error) from error

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the blobs in the order of the keys; None where there is none. Raises StoreUnavailable.

        Files are announced to the system, then read one after the other: 32 files of 53 kB that are not in the page
        cache take 1.8 ms instead of 5.2 (an SSD behind virtio), and those that are take no longer than before. A pool
        of threads that reads files one by one is no faster.
        """
        paths = [self._path_of(key) for key in keys]
        try:
            return [blob for start in range(0, len(paths), _AHEAD) for blob in _read(paths[start : start + _AHEAD])]
        except OSError as error:
            raise _translate(error) from error

    def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; unknown keys are ignored. Raises StoreUnavailable."""
        try:
            for key in keys:
                _remove(self._path_of(key))
        except OSError as error:
            raise _translate(error) from error

    def scan(self) -> Iterator[str]:
        """Yield every key once, ordered; all keys are held in memory. Raises StoreUnavailable."""
        try:
            found = sorted(_walk(self._folder, ()))
        except OSError as error:
            raise _translate(error) from error
        yield from found

    def remove_leftovers(self) -> int:
        """Remove the unfinished files of writers that died and return how many; no other writer may be at work."""
        try:
            leftovers = os.listdir(self._partial)
            for name in leftovers:
                _remove(os.path.join(self._partial, name))
        except OSError as error:
            raise _translate(error) from error
        return len(leftovers)

    def _path_of(self, key: str) -> str:
        prefix, _, name = check_key(key).rpartition("/")
        return os.path.join(self._folder, prefix, f"{zlib.crc32(name.encode()) & 0xFF:02x}", name + _SUFFIX)

    def _write(self, path: str, blob: bytes) -> None:
        with open(path, "xb") as file:
            file.write(blob)
            if self._fsync:
                file.flush()
                os.fsync(file.fileno())

    def _move(self, partial: str, path: str) -> None:
        folder = os.path.dirname(path)
        try:
            os.replace(partial, path)
        except FileNotFoundError:
            self._make_folder(folder)
            os.replace(partial, path)
        if self._fsync:
            _sync_folder(folder)

    def _make_folder(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        while self._fsync and folder != self._folder:
            folder = os.path.dirname(folder)
            _sync_folder(folder)


def _read(paths: Sequence[str]) -> list[bytes | None]:
    """Return the contents of the files, None for one that is not there; all of them are open at once.

    System calls are made directly: file objects make twice as many, and 200 files took 6.5 ms in place of 5.6.
    """
    opened: list[int] = []
    try:
        files = [_open(path, opened) for path in paths]
        if hasattr(os, "posix_fadvise"):  # Linux and BSD have it
            for file in opened:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
        return [None if file is None else _read_whole(file, path) for file, path in zip(files, paths, strict=True)]
    finally:
        for file in opened:
            os.close(file)


def _open(path: str, opened: list[int]) -> int | None:
    """Return the descriptor of the file, which is noted in `opened`; None when it is not there."""
    try:
        opened.append(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)))
    except FileNotFoundError:
        return None
    return opened[-1]


def _read_whole(file: int, path: str) -> bytes:
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size)
        while len(data) < size and (more := os.read(file, size - len(data))):  # a read of a file may end early
            data += more
    except OSError as error:
        error.filename = path
        raise
    return data


def _walk(folder: str, segments: tuple[str, ...]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX):
                yield "/".join((*segments[:-1], entry.name.removesuffix(_SUFFIX)))
            elif entry.name != _PARTIAL and entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, (*segments, entry.name))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translate(error: OSError) -> StoreError:
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    names = " to ".join(named) or "what is being written"
    if error.errno in _NO_SPACE:
        return StoreFull(f"no space left for {names}: {error.strerror}")
    return StoreUnavailable(f"cannot use {names}: {error.strerror}")
