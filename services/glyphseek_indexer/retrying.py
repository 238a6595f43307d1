"""What a failure is worth: whether a photo is tried again, and how long a worker waits for a store that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from glyphseek.errors import ServiceError, StoreError

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0


class Again(StrEnum):
    """Whether a photo that is left out is tried again.

    NEVER: the photo is at fault. ONCE: it may be, so it is refused when it fails again. ALWAYS: it is not, a store is;
    a job that such a photo is missing from has not done its work.
    """

    NEVER = "never"
    ONCE = "once"
    ALWAYS = "always"


def judge_failure(error: Exception) -> Again:
    """Return what an error says of the photos at hand, which was not raised to name one of them."""
    return Again.ALWAYS if isinstance(error, StoreError | ServiceError) else Again.ONCE


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long one worker waits for a store: so many seconds, retries included, from one answer to the next."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _end: float | None = field(default=None, init=False)
    _pause_s: float = field(default=_FIRST_PAUSE_S, init=False)

    def renew(self) -> None:
        """Note that the store answered."""
        self._end, self._pause_s = None, _FIRST_PAUSE_S

    def wait(self) -> bool:
        """Wait a little, longer each time, and return True; False at once when the time is over."""
        now = self.clock()
        self._end = now + self.seconds if self._end is None else self._end
        if now + self._pause_s > self._end:
            return False
        self.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return True
