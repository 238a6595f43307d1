"""Files as bytes: bounded reading, and the stamp by which a file is known again without reading it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from glyphseek.errors import ImageTooLarge, ImageUnreadable, SettingError

_CHUNK_BYTES = 1 << 20
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Bounds that are checked before an image is decoded.

    max_bytes: of the file; 256 MiB holds any camera's JPEG and most scans. max_pixels: width times height; 100 million
    is above every phone and needs 300 MB once decoded. min_side: under 8 pixels no word can be told.
    """

    max_bytes: int = 256 << 20
    max_pixels: int = 100_000_000
    min_side: int = 8

    def __post_init__(self) -> None:
        for name, value in (
            ("max_bytes", self.max_bytes),
            ("max_pixels", self.max_pixels),
            ("min_side", self.min_side),
        ):
            if value < 1:
                raise SettingError(f"{name} is {value}; it must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """What the file system says of a file's content: size in bytes, times of change of content and of inode in ns."""

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the stamp held by a `stat` answer."""
        return cls(size=status.st_size, modified_ns=status.st_mtime_ns, changed_ns=status.st_ctime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """A whole file, and its stamp; the stamp is None when the file changed while it was read."""

    data: bytes
    stamp: FileStamp | None


def read_file(path: Path, *, limits: ImageLimits) -> FileContent:
    """Return the whole file, or raise without reading it when it is over `limits.max_bytes`.

    Never waits on a pipe or device. Raises ImageTooLarge, or ImageUnreadable (missing, forbidden, not a regular file,
    failing disk). An empty file is read as no bytes.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
        with open(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            _check_kind_and_size(before, limits)
            data = _read_at_most(file.fileno(), limits.max_bytes)
            after = os.fstat(descriptor)
    except OSError as error:
        raise ImageUnreadable(f"cannot be read: {error.strerror or error}") from error
    stamp = FileStamp.of(after)
    return FileContent(data=data, stamp=stamp if stamp == FileStamp.of(before) else None)


def check_size(size: int, limits: ImageLimits) -> None:
    """Raise ImageTooLarge when `size` bytes are more than the bound."""
    if size > limits.max_bytes:
        raise ImageTooLarge(f"{size} bytes; the limit is {limits.max_bytes}")


def _check_kind_and_size(status: os.stat_result, limits: ImageLimits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageUnreadable("not a regular file")
    check_size(status.st_size, limits)


def _read_at_most(descriptor: int, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise ImageTooLarge(f"more than {max_bytes} bytes, which is the limit; the file grew while it was read")
        chunks.append(chunk)
    return b"".join(chunks)
