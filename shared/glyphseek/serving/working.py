"""Blocking work of calls: in bounded threads, within the deadline, counted while it waits and runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from glyphseek.errors import SettingError
from glyphseek.metrics import Metrics
from glyphseek.rpc.admission import Admission
from glyphseek.rpc.context import current_call

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSettings:
    """How much one process takes on; impossible values raise SettingError.

    at_once: requests worked on, each in a thread: while one waits for blobs another is scored. waiting: requests beyond
    them that may wait; more are refused with RESOURCE_EXHAUSTED, and the caller is told when to come again.
    """

    at_once: int = 4
    waiting: int = 32

    def __post_init__(self) -> None:
        for name, least in (("at_once", 1), ("waiting", 0)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")


class Work:
    """The threads of one service. Close it after use."""

    def __init__(self, service: str, settings: WorkSettings, metrics: Metrics) -> None:
        """`service` is the name in metrics and messages."""
        self._admission = Admission(
            f"{service}-calls", at_once=settings.at_once, waiting=settings.waiting, queue=metrics.queue(service)
        )

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Raises Overloaded, and DeadlineExceeded when the caller's time is over."""
        with self._admission.place() as place:
            call = current_call()
            return await place.run(work, deadline=None if call is None else call.deadline)

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        self._admission.close()
