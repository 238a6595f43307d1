"""A cache that is bounded in bytes and loads each missing value once, however many threads miss it together."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from glyphseek.errors import BlobError, SettingError, StoreError, StoreUnavailable

V = TypeVar("V")

LoadError = BlobError | StoreError
"""Why a value could not be loaded: found out again at the next request, never kept."""

Load = Callable[[Sequence[str]], Mapping[str, "V | LoadError"]]
"""Returns for each of the keys, which are different, its value or why there is none."""


_Flight = Future[dict[str, "V | LoadError"]]
"""All that one thread loads together: a future of its own for each key takes 6 us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Counts since the start. joined: misses that waited for another thread's load. held_bytes: of what is kept now."""

    hits: int
    misses: int
    joined: int
    evicted: int
    kept: int
    held_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept(Generic[V]):
    """A value, what keeping it costs, and until when it may be used."""

    value: V
    weight: int
    until: float


class SingleFlightCache(Generic[V]):
    """Keeps the values asked for last, of `capacity_bytes` together at most; safe to share between threads.

    A value larger than the whole capacity is passed on and not kept. With capacity 0 nothing is kept, and single flight
    remains.
    """

    def __init__(
        self,
        capacity_bytes: int,
        *,
        weigh: Callable[[V], int],
        lifetime_s: Callable[[str], float] = lambda _: math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`weigh` returns the bytes that keeping a value costs, `lifetime_s` how long the value of a key may be kept.

        `clock` returns seconds. Raises SettingError for a negative capacity.
        """
        if capacity_bytes < 0:
            raise SettingError(f"the cache's capacity is {capacity_bytes} bytes, it must be 0 or more")
        self._capacity_bytes = capacity_bytes
        self._weigh = weigh
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._lock = threading.Lock()
        self._values: OrderedDict[str, _Kept[V]] = OrderedDict()  # the one asked for last stands at the end
        self._flights: dict[str, _Flight[V]] = {}
        self._held_bytes = 0
        self._hits = self._misses = self._joined = self._evicted = 0

    def get(self, keys: Sequence[str], load: Load[V], *, timeout_s: float | None = None) -> dict[str, V | LoadError]:
        """Return for each different key its value or why there is none, in the order of the keys.

        `load` is called at most once, outside the lock, with the keys that are neither kept nor being loaded by another
        thread; for those of other threads this one waits, until `timeout_s` after it asked at most: then there is
        StoreUnavailable in place of the value. What `load` raises is raised here, and in the threads that wait for it.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        own: _Flight[V] = Future()
        found, mine, others = self._claim(list(dict.fromkeys(keys)), own)
        if mine:
            found |= self._load(mine, load, own)
        found |= {key: _wait_for(flight, key, end) for key, flight in others.items()}
        return {key: found[key] for key in dict.fromkeys(keys)}

    def stats(self) -> CacheStats:
        """Return the counts as they are now."""
        with self._lock:
            return CacheStats(
                hits=self._hits,
                misses=self._misses,
                joined=self._joined,
                evicted=self._evicted,
                kept=len(self._values),
                held_bytes=self._held_bytes,
            )

    def _claim(
        self, keys: Sequence[str], own: _Flight[V]
    ) -> tuple[dict[str, V | LoadError], list[str], dict[str, _Flight[V]]]:
        """Return what is kept, the keys that this thread must load, which `own` carries, and the flights of others."""
        found: dict[str, V | LoadError] = {}
        mine: list[str] = []
        others: dict[str, _Flight[V]] = {}
        with self._lock:
            now = self._clock()
            for key in keys:
                if (kept := self._values.get(key)) is not None and now >= kept.until:
                    kept = self._let_go(key)
                if kept is not None:
                    self._values.move_to_end(key)
                    found[key] = kept.value
                elif (flight := self._flights.get(key)) is not None:
                    others[key] = flight
                else:
                    self._flights[key] = own
                    mine.append(key)
            self._hits += len(found)
            self._misses += len(mine) + len(others)
            self._joined += len(others)
        return found, mine, others

    def _load(self, mine: Sequence[str], load: Load[V], own: _Flight[V]) -> dict[str, V | LoadError]:
        started = self._clock()
        try:
            loaded = load(mine)
            outcomes = {key: loaded[key] for key in mine}
        except BaseException as error:
            self._end_flight(mine)
            own.set_exception(error)
            raise
        with self._lock:
            for key, outcome in outcomes.items():
                if not isinstance(outcome, BlobError | StoreError):
                    self._keep(key, outcome, started)
        self._end_flight(mine)
        own.set_result(outcomes)
        return outcomes

    def _end_flight(self, mine: Sequence[str]) -> None:
        with self._lock:
            for key in mine:
                del self._flights[key]

    def _keep(self, key: str, value: V, asked_at: float) -> None:
        """Keep a value, the lock being held; let go of those not asked for longest until all fit."""
        weight = self._weigh(value)
        if weight > self._capacity_bytes:
            return
        self._values[key] = _Kept(value=value, weight=weight, until=asked_at + self._lifetime_s(key))
        self._held_bytes += weight
        while self._held_bytes > self._capacity_bytes:
            self._let_go(next(iter(self._values)))

    def _let_go(self, key: str) -> None:
        self._held_bytes -= self._values.pop(key).weight
        self._evicted += 1


def _wait_for(flight: _Flight[V], key: str, end: float | None) -> V | LoadError:
    """Return what another thread loads, if it does so before `end`."""
    try:
        return flight.result(None if end is None else max(0.0, end - time.monotonic()))[key]
    except TimeoutError:
        if flight.done():
            raise  # the load's own
        return StoreUnavailable("another request was reading it for too long")
