"""The feature store over a bucket, for callers that do not await."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from glyphseek.deadlines import time_left
from glyphseek.errors import InputError, StoreError
from glyphseek.features.keys import check_key
from glyphseek.features.s3.hedging import Hedge
from glyphseek.features.s3.objects import S3Objects
from glyphseek.features.s3.settings import S3Settings

T = TypeVar("T")

_SUFFIX = ".blob"


class S3FeatureStore:
    """A feature store over one bucket; safe to use from several threads and processes. Close it after use.

    The key `a/b` is the object `PREFIXa/b.blob`; the suffix lets a key extend another on servers that keep objects as
    files. All requests run on one event loop in a thread of its own, so that a `get` of many keys is one round.
    """

    def __init__(self, settings: S3Settings) -> None:
        """Connect and ask the bucket for a name.

        Raises StoreUnavailable when the server does not answer in the caller's time, refuses the keys, or has no such
        bucket; MissingExtra when the client is not installed.
        """
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="s3", daemon=True)
        self._thread.start()
        try:
            self._objects = S3Objects(settings)
            self._run(self._objects.check(timeout_s=time_left(settings.timeout_s)))
        except BaseException:
            self.close()
            raise

    @property
    def hedge(self) -> Hedge:
        """Return the counts of second requests."""
        return self._objects.hedge

    def put(self, key: str, blob: bytes) -> None:
        """Write the blob whole or not at all, replacing what was there.

        Raises InputError for a key of another form or a blob over the limit, StoreFull, StoreUnavailable.
        """
        name = self._name_of(key)
        if len(blob) > self._settings.max_blob_bytes:
            limit = self._settings.max_blob_bytes
            raise InputError(f"the blob of key {key!r} has {len(blob)} bytes, the limit is {limit}")
        self._run(self._objects.put(name, bytes(blob)))

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the blobs in the order of the keys; None where there is none. One round of parallel requests.

        Raises StoreUnavailable when one of them cannot be read before the deadline, the caller's (see `deadlines`) or
        the store's own; `get_each` returns the others.
        """
        blobs: list[bytes | None] = []
        for found in self.get_each(keys):
            if isinstance(found, StoreError):
                raise found
            blobs.append(found)
        return blobs

    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        """Return for each key its blob, None where there is none, or why it could not be read before the deadline.

        Without a `timeout_s` that is the caller's, or the store's own if it is sooner. Raises DeadlineExceeded when the
        caller's is over already.
        """
        left_s = time_left(self._settings.timeout_s) if timeout_s is None else timeout_s
        return self._run(self._objects.get([self._name_of(key) for key in keys], timeout_s=left_s))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; unknown keys are ignored. Raises StoreUnavailable; some may be removed then."""
        self._run(self._objects.delete([self._name_of(key) for key in dict.fromkeys(keys)]))

    def scan(self) -> Iterator[str]:
        """Yield every key once, ordered, a page of the listing at a time. Raises StoreUnavailable.

        Blobs that are put or removed meanwhile may be there or not. Objects of other names are left out.
        """
        start = len(self._settings.prefix)
        names = (name[start:] for name in self._objects.list())
        yield from order_keys(name for name in names if name.endswith(_SUFFIX))

    def close(self) -> None:
        """End the event loop; the store must not be used afterwards. Closing twice is fine."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _name_of(self, key: str) -> str:
        return f"{self._settings.prefix}{check_key(key)}{_SUFFIX}"


def order_keys(names: Iterable[str]) -> Iterator[str]:
    """Yield keys in their own order from names in theirs: `a-b.blob` comes before `a.blob`, but `a` before `a-b`.

    A key is held back until no key that it extends by a `-` can follow.
    """
    held: list[str] = []
    for name in names:
        while held and _last_before(held[0]) < name:
            yield heapq.heappop(held)
        heapq.heappush(held, name.removesuffix(_SUFFIX))
    while held:
        yield heapq.heappop(held)


def _last_before(key: str) -> str:
    """Return the last name, in the order of names, of a key that comes before this one and that this one extends."""
    return key.partition("-")[0] + _SUFFIX
