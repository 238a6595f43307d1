"""Where photos come from: a folder that every worker sees, or a folder of a bucket. Listed once, read by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from glyphseek.errors import ImageError, ImageTooLarge, ImageUnreadable, SettingError, StoreError
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.objects import S3Objects
from glyphseek.images import (
    ImageLimits,
    Unreachable,
    find_files,
    has_image_suffix,
    is_image_file,
    path_of,
    read_file,
)
from glyphseek.indexing import Skip

_SCHEME = "s3://"
_AT_ONCE = 4
"""Photos that one reader reads at the same time: they share the way to the store."""
_READ_S = 120.0
_ATTEMPT_S = 30.0
"""What a search has no time for, a job has: 64 MB at half a megabyte a second."""


class PhotoSource(Protocol):
    """Photos by name. It can be sent to another process; names are those that rows get."""

    def names(self) -> Iterator[str | Skip]:
        """Yield the names of what may be photos, and what could not be looked at."""
        ...

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        """Return the bytes of each, or why it cannot be read: the photo's fault, or that of where it is kept."""
        ...


def open_source(text: str, settings: S3Settings, limits: ImageLimits) -> PhotoSource:
    """Return the photos of `s3://bucket/folder`, reached with the endpoint and keys of `settings`, or of a folder.

    Raises SettingError for another scheme, a bucket's name of another form and a folder that is not there.
    """
    if text.startswith(_SCHEME):
        bucket, _, folder = text.removeprefix(_SCHEME).partition("/")
        here = replace(
            settings,
            bucket=bucket,
            prefix="",
            timeout_s=_READ_S,
            attempt_timeout_s=_ATTEMPT_S,
            max_blob_bytes=limits.max_bytes,
            hedge_share=0,
        )
        return BucketSource(settings=here, folder=folder)
    if "://" in text:
        raise SettingError(f"photos are read from a folder or from s3://bucket/folder, not from {text!r}")
    if not Path(text).is_dir():
        raise SettingError(f"there is no folder {text!r}")
    return FolderSource(folder=Path(text).resolve(), limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """Photos of a folder and its subfolders, named by their path below it."""

    folder: Path
    limits: ImageLimits

    def names(self) -> Iterator[str | Skip]:
        """Yield the names of image files, depth first, and the folders and photos that cannot be looked at."""
        for entry in find_files(self.folder):
            if isinstance(entry, Unreachable):
                if entry.is_folder or has_image_suffix(entry.path):
                    yield Skip(name=entry.name, kind=type(entry.error).__name__, message=str(entry.error))
            elif is_image_file(entry):
                yield entry.name

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        """Return the bytes of each, or why it cannot be read."""
        return [self._read(name) for name in names]

    def _read(self, name: str) -> bytes | ImageError:
        try:
            return read_file(path_of(self.folder, name), limits=self.limits).data
        except ImageError as error:
            return error


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSource:
    """Objects of a bucket below a folder whose names end as those of image files do, named by their address.

    The deadline of the settings is that of each photo, not of all that are read together.
    """

    settings: S3Settings
    folder: str

    def names(self) -> Iterator[str | Skip]:
        """Yield the addresses of what may be photos, a page of the listing at a time. Raises StoreUnavailable."""
        for key in S3Objects(self.settings).list(self.folder):
            if has_image_suffix(Path(PurePosixPath(key).name)):
                yield self._address(key)

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        """Return the bytes of each, a few read at once, or why it cannot be read."""
        start = len(self._address(""))
        found = asyncio.run(self._get([name[start:] for name in names]))
        return [self._judge(one) for one in found]

    async def _get(self, keys: Sequence[str]) -> list[bytes | StoreError | None]:
        objects, slots = S3Objects(self.settings), asyncio.Semaphore(_AT_ONCE)

        async def get(key: str) -> bytes | StoreError | None:
            async with slots:  # the deadline begins when the photo has its turn
                return (await objects.get([key]))[0]

        return await asyncio.gather(*map(get, keys))

    def _judge(self, found: bytes | StoreError | None) -> bytes | ImageError | StoreError:
        if isinstance(found, StoreError):
            return found
        if found is None:
            return ImageUnreadable("the object is gone")
        if not found:
            limit = self.settings.max_blob_bytes
            return ImageTooLarge(f"the object is empty, or has more bytes than the limit, which is {limit}")
        return found

    def _address(self, key: str) -> str:
        return f"{_SCHEME}{self.settings.bucket}/{key}"
