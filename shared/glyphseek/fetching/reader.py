"""Images to what their blobs hold, through a cache; what cannot be had is counted, never raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from glyphseek.errors import BlobError, BlobMissing, StoreError
from glyphseek.fetching.cache import CacheStats, LoadError, SingleFlightCache
from glyphseek.fetching.faults import name_fault
from glyphseek.ports import FeatureStore, PartialReads, blob_key
from glyphseek.tracing import span

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched(Generic[V]):
    """What the blobs of some images hold, in the order asked.

    unusable_ids: the images without a usable blob, in that order. faults: them, counted by what was wrong. cache_hits:
    images whose blob this request had not to read, as it was kept or another request was reading it. fetched_bytes: of
    the blobs that it did read.
    """

    values: Mapping[str, V]
    unusable_ids: tuple[str, ...]
    faults: Mapping[str, int]
    cache_hits: int
    fetched_bytes: int


class BlobReader(Generic[V]):
    """Reads and opens the blobs of one model; safe to share between threads.

    A blob is opened (which verifies it) once, and what it holds is kept in a cache bounded in bytes. Concurrent
    requests for one image cause one read of its blob.
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        fingerprint: str,
        open_blob: Callable[[bytes], V],
        weigh: Callable[[V], int],
        cache_bytes: int,
        timeout_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`open_blob` raises BlobError; `weigh` returns the bytes that keeping a value costs.

        `timeout_s` returns how long a store that reads each blob for itself may take now; None for its own limit.
        """
        self._store = store
        self._fingerprint = fingerprint
        self._open_blob = open_blob
        self._cache = SingleFlightCache[V](cache_bytes, weigh=weigh)
        self._timeout_s = timeout_s

    def stats(self) -> CacheStats:
        """Return what the cache holds and how often it helped."""
        return self._cache.stats()

    def read(self, image_ids: Sequence[str]) -> Fetched[V]:
        """Return what the blobs of the images hold; an id named twice is read once. The store is asked at most once."""
        lengths: list[int] = []

        def load(keys: Sequence[str]) -> dict[str, V | LoadError]:
            blobs = self._read_each(keys)
            lengths.extend(len(blob) if isinstance(blob, bytes) else 0 for blob in blobs)
            return {key: self._open(blob) for key, blob in zip(keys, blobs, strict=True)}

        with span("blobs.fetch", images=len(image_ids)):
            outcomes = self._cache.get([blob_key(self._fingerprint, one) for one in image_ids], load)
        asked = dict(zip(dict.fromkeys(image_ids), outcomes.values(), strict=True))
        errors = {one: value for one, value in asked.items() if isinstance(value, BlobError | StoreError)}
        return Fetched(
            values={one: value for one, value in asked.items() if not isinstance(value, BlobError | StoreError)},
            unusable_ids=tuple(errors),
            faults=dict(Counter(map(name_fault, errors.values()))),
            cache_hits=len(asked) - len(lengths),
            fetched_bytes=sum(lengths),
        )

    def _read_each(self, keys: Sequence[str]) -> Sequence[bytes | StoreError | None]:
        try:
            if isinstance(self._store, PartialReads):
                return self._store.get_each(keys, timeout_s=self._timeout_s())
            return self._store.get(keys)
        except StoreError as error:
            return [error] * len(keys)

    def _open(self, blob: bytes | StoreError | None) -> V | LoadError:
        if isinstance(blob, StoreError):
            return blob
        try:
            if blob is None:
                raise BlobMissing("the image has a row but no blob")
            return self._open_blob(blob)
        except BlobError as error:
            return error
