"""Whether this process can answer searches, and how each part that it needs is doing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from glyphseek.errors import GlyphseekError
from glyphseek.rpc.context import call_bound, run_in, start_call

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Asks one part whether it works: `ask` returns, or raises why not. Searches need it if it `is_essential`."""

    name: str
    ask: Callable[[], object]
    is_essential: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """How one part was doing; `reason` is empty when it is ready."""

    name: str
    is_ready: bool
    ms: float
    reason: str
    is_essential: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How all parts are doing. What is not essential may be missing: searches are degraded then."""

    dependencies: tuple[Dependency, ...]

    @property
    def is_ready(self) -> bool:
        """Return whether searches can be answered."""
        return all(one.is_ready or not one.is_essential for one in self.dependencies)


class Readiness:
    """Asks all parts at once, each for `patience_s` at most, and again only after `keep_s`."""

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        patience_s: float = 2.0,
        keep_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = probes
        self._patience_s = patience_s
        self._keep_s = keep_s
        self._clock = clock
        self._threads = ThreadPoolExecutor(max(1, len(probes)), "readiness")
        self._lock = asyncio.Lock()
        self._report: Report | None = None
        self._asked_s = -keep_s

    async def check(self) -> Report:
        """Return how all parts are doing. Callers that come together share one answer."""
        async with self._lock:
            if self._report is None or self._clock() - self._asked_s >= self._keep_s:
                found = await asyncio.gather(*(self._ask(probe) for probe in self._probes))
                self._report, self._asked_s = Report(dependencies=tuple(found)), self._clock()
            return self._report

    def close(self) -> None:
        """End the threads; those that wait for an answer are left to it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, probe: Probe) -> Dependency:
        started = self._clock()
        reason = ""
        try:
            with call_bound(start_call(timeout_s=self._patience_s)):
                async with asyncio.timeout(self._patience_s):
                    await run_in(self._threads, probe.ask)
        except TimeoutError:
            reason = f"no answer within {self._patience_s:g} s"
        except GlyphseekError as error:
            reason = str(error)
        except Exception:  # noqa: BLE001 - a report is wanted, whatever a part's client raises; the log has it
            _LOG.exception("probe_failed name=%s", probe.name)
            reason = "it could not be asked; the log says why"
        ms = round(1000 * (self._clock() - started), 1)
        return Dependency(name=probe.name, is_ready=not reason, ms=ms, reason=reason, is_essential=probe.is_essential)
