"""A feature store that is connected when it is first needed: a service starts, and does what it can, without it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from glyphseek.deadlines import time_left
from glyphseek.errors import StoreError, StoreUnavailable
from glyphseek.ports import FeatureStore, PartialReads


class ClosableFeatures(FeatureStore, PartialReads, Protocol):
    """A feature store over a network."""

    def close(self) -> None:
        """Disconnect."""
        ...


_LONGEST_WAIT_S = 30.0  # for another thread to connect, by those who have no deadline


class LateFeatures:
    """The store that `connect` returns, or whatever it raises; then it is tried again with the next call.

    One thread connects at a time; others wait for it no longer than their callers do, and raise StoreUnavailable then.
    """

    def __init__(self, connect: Callable[[], ClosableFeatures]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._connected: ClosableFeatures | None = None

    def put(self, key: str, blob: bytes) -> None:
        """Write the blob."""
        self._store.put(key, blob)

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the blobs."""
        return self._store.get(keys)

    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        """Return the blobs that came in time, and why the others did not."""
        return self._store.get_each(keys, timeout_s=timeout_s)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs."""
        self._store.delete(keys)

    def scan(self) -> Iterator[str]:
        """Yield every key."""
        return self._store.scan()

    def close(self) -> None:
        """Disconnect, if it was connected."""
        with self._lock:
            if self._connected is not None:
                self._connected.close()

    @property
    def _store(self) -> ClosableFeatures:
        if (connected := self._connected) is not None:
            return connected
        if not self._lock.acquire(timeout=time_left(_LONGEST_WAIT_S)):
            raise StoreUnavailable("the store of blobs is still being connected to")
        try:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected
        finally:
            self._lock.release()
