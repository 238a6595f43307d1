"""Images to what their blobs hold, through a cache; what cannot be had is counted, never raised."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from glyphseek.contexts import ContextThreads
from glyphseek.errors import BlobError, BlobMissing, DeadlineExceeded, StoreError, StoreUnavailable
from glyphseek.fetching.cache import CacheStats, LoadError, SingleFlightCache
from glyphseek.fetching.faults import count_faults
from glyphseek.ports import FeatureStore, PartialReads, blob_key
from glyphseek.tracing import span

V = TypeVar("V")

FETCH_SHARE = 0.8
"""Share of the time left that blobs may take, so that what came in time can still be scored and sent."""
NAMED_LIFETIME_S = 1.0
"""How long what a blob held is used again where an id does not say of which content it is: a caller's id may be given
another photo at any time. An id that is a hash of the content always means the same blob."""
SETTLING_S = NAMED_LIFETIME_S + 0.25
"""How long after a blob was replaced no reader uses the one before any more; the rest is for reads under way."""

_CONTENT_KEY = re.compile(r".*/[0-9a-f]{32}")


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

    @property
    def asked(self) -> int:
        """Return how many different images were asked for."""
        return len(self.values) + len(self.unusable_ids)


class BlobReader(Generic[V]):
    """Reads and opens the blobs of one model; safe to share between threads.

    A blob is opened (which verifies it) once, and what it holds is kept in a cache bounded in bytes. Concurrent
    requests for one image cause one read of its blob. Ids that are no hash are read again after `NAMED_LIFETIME_S`.
    Close it after use.
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        fingerprint: str,
        open_blob: Callable[[bytes], V],
        weigh: Callable[[V], int],
        cache_bytes: int,
        threads: int = 1,
        timeout_s: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_blob` raises BlobError; `weigh` returns the bytes that keeping a value costs.

        `threads` read and open the blobs of one request, the caller's own among them. `timeout_s` returns how long a
        store that reads each blob for itself may take now; None for its own limit.
        `clock` returns seconds, for lifetimes.
        """
        self._store = store
        self._partial = store if isinstance(store, PartialReads) else None
        self._fingerprint = fingerprint
        self._open_blob = open_blob
        self._cache = SingleFlightCache[V](cache_bytes, weigh=weigh, lifetime_s=lifetime_of, clock=clock)
        self._timeout_s = timeout_s
        self._count = threads
        # A pool has at least one thread, but starts none before it is given work.
        self._threads = ContextThreads(max(1, threads - 1), thread_name_prefix="fetch")

    def close(self) -> None:
        """Wait for what is being read and end the threads."""
        self._threads.shutdown()

    def stats(self) -> CacheStats:
        """Return what the cache holds and how often it helped."""
        return self._cache.stats()

    def read(self, image_ids: Sequence[str]) -> Fetched[V]:
        """Return what the blobs of the images hold; an id named twice is read once.

        Raises what `timeout_s` does: DeadlineExceeded where there is no time left.
        """
        lengths: list[int] = []
        timeout_s = self._timeout_s()
        load = partial(self._load, lengths=lengths, timeout_s=timeout_s)
        with span("blobs.fetch", images=len(image_ids)):
            keys = [blob_key(self._fingerprint, one) for one in image_ids]
            outcomes = self._cache.get(keys, load, timeout_s=timeout_s)
        asked = dict(zip(dict.fromkeys(image_ids), outcomes.values(), strict=True))
        errors = {one: value for one, value in asked.items() if isinstance(value, BlobError | StoreError)}
        return Fetched(
            values={one: value for one, value in asked.items() if not isinstance(value, BlobError | StoreError)},
            unusable_ids=tuple(errors),
            faults=count_faults(errors.values()),
            cache_hits=len(asked) - len(lengths),
            fetched_bytes=sum(lengths),
        )

    def _load(self, keys: Sequence[str], *, lengths: list[int], timeout_s: float | None) -> dict[str, V | LoadError]:
        """Return what the blobs of the keys hold or what is wrong with them; `lengths` gets that of each blob."""
        count = min(self._count, len(keys))
        load_part = partial(self._load_part, lengths=lengths, timeout_s=timeout_s)
        others = [self._threads.submit(load_part, keys[start::count]) for start in range(1, count)]
        loaded = load_part(keys[::count])
        for part in others:
            loaded |= part.result()
        return loaded

    def _load_part(
        self, keys: Sequence[str], *, lengths: list[int], timeout_s: float | None
    ) -> dict[str, V | LoadError]:
        blobs = self._read_each(keys, timeout_s)
        lengths.extend(len(blob) if isinstance(blob, bytes) else 0 for blob in blobs)
        return {key: self._open(blob) for key, blob in zip(keys, blobs, strict=True)}

    def _read_each(self, keys: Sequence[str], timeout_s: float | None) -> Sequence[bytes | StoreError | None]:
        try:
            if self._partial is not None:
                return self._partial.get_each(keys, timeout_s=timeout_s)
            return self._store.get(keys)
        except StoreError as error:
            return [error] * len(keys)
        except DeadlineExceeded as error:  # this request's: others that wait for the same blobs may have more time
            return [StoreUnavailable(str(error))] * len(keys)

    def _open(self, blob: bytes | StoreError | None) -> V | LoadError:
        if isinstance(blob, StoreError):
            return blob
        try:
            if blob is None:
                raise BlobMissing("the image has a row but no blob")
            return self._open_blob(blob)
        except BlobError as error:
            return error


def lifetime_of(key: str) -> float:
    """Return the seconds that what the key's blob holds may be kept: without end where the key says the content."""
    return math.inf if _CONTENT_KEY.fullmatch(key) else NAMED_LIFETIME_S
