"""Photos that are named by address instead of being sent: objects of buckets that the server's settings allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from glyphseek.errors import ImageNotFound, ImageTooLarge, InputError, StoreError
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.objects import S3Objects
from glyphseek.rpc.context import time_left

MAX_KEY_BYTES = 1024
_SCHEME = "s3://"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    """An object of an S3 store."""

    bucket: str
    key: str


def parse_uri(uri: str, allowed: Collection[str]) -> ObjectName:
    """Return what `s3://bucket/key` names. A percent sign is part of the key.

    Raises InputError for other schemes, buckets that are not allowed, and keys that are empty, over 1024 bytes, or have
    an empty part, `.`, `..`, a backslash or control characters.
    """
    shown = f"{uri[:200]!r}"
    if not uri.startswith(_SCHEME):
        raise InputError(f"the address {shown} is not s3://bucket/key")
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    if bucket not in allowed:
        known = ", ".join(sorted(allowed)) or "none"
        raise InputError(f"photos are not read from bucket {bucket[:80]!r}; allowed are: {known}")
    if not 1 <= len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES:
        raise InputError(f"the key of an address must have 1 to {MAX_KEY_BYTES} bytes: {shown}")
    if any(part in ("", ".", "..") for part in key.split("/")) or "\\" in key or not key.isprintable():
        raise InputError(
            f"the key of an address has an empty part, '.', '..', a backslash or control characters: {shown}"
        )
    return ObjectName(bucket=bucket, key=key)


class BucketSource:
    """Reads photos from the allowed buckets of one S3 store; safe to use from several threads."""

    def __init__(
        self,
        settings: S3Settings,
        *,
        allowed: Collection[str],
        make_objects: Callable[[S3Settings], S3Objects] = S3Objects,
    ) -> None:
        """`settings` has the endpoint, the keys and the deadline; its bucket and prefix are not used."""
        self._settings = replace(settings, prefix="")
        self._allowed = frozenset(allowed)
        self._make_objects = make_objects

    def read(self, uri: str, *, max_bytes: int) -> bytes:
        """Return the photo's bytes; a larger object is not read.

        Raises InputError for an address that is not allowed, ImageTooLarge, ImageNotFound, StoreUnavailable and
        DeadlineExceeded.
        """
        name = parse_uri(uri, self._allowed)
        timeout_s = time_left(self._settings.timeout_s)
        settings = replace(self._settings, bucket=name.bucket, timeout_s=timeout_s, max_blob_bytes=max_bytes)
        return asyncio.run(self._read(settings, name, max_bytes))

    async def _read(self, settings: S3Settings, name: ObjectName, max_bytes: int) -> bytes:
        objects = self._make_objects(settings)
        size = await objects.size(name.key)
        if size is not None and size > max_bytes:
            raise ImageTooLarge(f"{name.key!r} has {size} bytes; the limit is {max_bytes}")
        found = (await objects.get([name.key]))[0]  # tells a bucket that is not there from an object
        if found is None:
            raise ImageNotFound(f"bucket {name.bucket!r} has no object {name.key!r}")
        if isinstance(found, StoreError):
            raise found
        return found
