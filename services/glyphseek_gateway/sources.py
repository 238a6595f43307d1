"""Photos that are named by address instead of being sent: objects of buckets that the server's settings allow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from glyphseek.errors import DeadlineExceeded, ImageNotFound, ImageTooLarge, InputError, StoreError
from glyphseek.features.s3 import S3Settings
from glyphseek.features.s3.objects import S3Objects
from glyphseek.rpc.context import time_left

T = TypeVar("T")

MAX_KEY_BYTES = 1024
_SCHEME = "s3://"
_LONGEST_S = 600.0  # for all photos of one request, where the caller sets no deadline


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
    """Reads photos from the allowed buckets of one S3 store, with one client for each bucket. Close it after use.

    Safe to use from several threads. Of all photos that are asked for, `at_once` are looked up or read at a time.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        allowed: Collection[str],
        at_once: int = 8,
        make_objects: Callable[[S3Settings], S3Objects] = S3Objects,
    ) -> None:
        """`settings` has the endpoint, the keys and the deadline of one photo; bucket and prefix are not used."""
        self._settings = replace(settings, prefix="", max_in_flight=at_once)
        self._allowed = frozenset(allowed)
        self._slots = asyncio.Semaphore(at_once)
        self._make_objects = make_objects
        self._objects: dict[tuple[str, int], S3Objects] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def measure(self, uris: Sequence[str], *, max_bytes: int) -> list[int | InputError | StoreError]:
        """Return how many bytes each photo has, 0 for one that only reading it can tell of, or why it is refused.

        Refused are addresses that are not allowed (InputError) and photos of more bytes (ImageTooLarge). Raises
        DeadlineExceeded.
        """

        async def measure(objects: S3Objects, name: ObjectName) -> int:
            size = await objects.size(name.key) or 0
            if size > max_bytes:
                raise ImageTooLarge(f"{name.key!r} has {size} bytes; the limit is {max_bytes}")
            return size

        return self._ask_each(uris, max_bytes, measure)

    def read(self, uris: Sequence[str], *, max_bytes: int) -> list[bytes | InputError | StoreError]:
        """Return the bytes of each photo, none of one with more than `max_bytes`, or why it cannot be had.

        That is an address that is not allowed (InputError), ImageNotFound, StoreUnavailable. Raises DeadlineExceeded.
        """

        async def read(objects: S3Objects, name: ObjectName) -> bytes:
            found = (await objects.get([name.key]))[0]  # tells a bucket that is not there from an object
            if found is None:
                raise ImageNotFound(f"bucket {name.bucket!r} has no object {name.key!r}")
            if isinstance(found, StoreError):
                raise found
            return found

        return self._ask_each(uris, max_bytes, read)

    def close(self) -> None:
        """End the thread that reads; nothing may be asked afterwards."""
        with self._lock:
            if self._loop is not None and self._thread is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
                self._loop = None

    def _ask_each(
        self, uris: Sequence[str], max_bytes: int, ask: Callable[[S3Objects, ObjectName], Awaitable[T]]
    ) -> list[T | InputError | StoreError]:
        async def ask_one(uri: str) -> T | InputError | StoreError:
            try:
                name = parse_uri(uri, self._allowed)
                async with self._slots:
                    return await ask(self._find_objects(name.bucket, max_bytes), name)
            except (InputError, StoreError) as error:
                return error

        async def ask_all(most_s: float) -> list[T | InputError | StoreError]:
            try:
                async with asyncio.timeout(most_s):
                    return list(await asyncio.gather(*(ask_one(uri) for uri in uris)))
            except TimeoutError as error:
                raise DeadlineExceeded("the photos could not be read before the deadline") from error

        return self._run(ask_all(time_left(_LONGEST_S))) if uris else []

    def _find_objects(self, bucket: str, max_bytes: int) -> S3Objects:
        """Return the client of a bucket; on the event loop only."""
        if (known := self._objects.get((bucket, max_bytes))) is None:
            settings = replace(self._settings, bucket=bucket, max_blob_bytes=max_bytes)
            known = self._objects[bucket, max_bytes] = self._make_objects(settings)
        return known

    def _run(self, work: Coroutine[object, object, T]) -> T:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="photos", daemon=True)
                self._thread.start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(work, loop).result()
