"""Whether an image could still be among the best."""

from __future__ import annotations

import heapq

_ROUNDING = 1.00001  # bounds and scores multiply the same float32 probabilities in another order


class Bar:
    """The score that an image must reach: that of the last of the `top` best so far, and at least `least`."""

    def __init__(self, top: int, *, least: float = 0.0) -> None:
        """`top` 0 is for all: then `least` alone counts."""
        self._top = top
        self._least = least
        self._best: list[float] = []  # a heap, the worst of the best first

    @property
    def score(self) -> float:
        """Return the score below which no image is among the best any more; at first `least`."""
        is_full = self._top > 0 and len(self._best) == self._top
        return max(self._least, self._best[0]) if is_full else self._least

    def admit(self, bound: float) -> bool:
        """Return whether an image that scores at most `bound` may be among the best, by its score or by its id."""
        return bound * _ROUNDING >= self.score

    def add(self, score: float) -> None:
        """Take in the score of an image."""
        if self._top == 0:
            return
        if len(self._best) < self._top:
            heapq.heappush(self._best, score)
        else:
            heapq.heappushpop(self._best, score)
