"""The best images so far, and whether another could still be among them."""

from __future__ import annotations

import heapq

from glyphseek.ranking import ImageMatch
from glyphseek.search.candidates import Candidate

_ROUNDING = 1.00001  # bounds and scores multiply the same float32 probabilities in another order


class Leaders:
    """Keeps scored images; the `top` best are the answer."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._best_scores: list[float] = []  # a heap, the worst of the best first
        self._scored: list[tuple[Candidate, ImageMatch]] = []

    def admit(self, bound: float) -> bool:
        """Return whether an image that scores at most `bound` may be among the best, by its score or by its id."""
        return len(self._best_scores) < self._top or bound * _ROUNDING >= self._best_scores[0]

    def add(self, candidate: Candidate, match: ImageMatch) -> None:
        """Keep a scored image; one that scores 0 is no answer and is dropped."""
        if match.score <= 0.0:
            return
        self._scored.append((candidate, match))
        if len(self._best_scores) < self._top:
            heapq.heappush(self._best_scores, match.score)
        else:
            heapq.heappushpop(self._best_scores, match.score)

    def best(self) -> list[tuple[Candidate, ImageMatch]]:
        """Return the `top` best images, best first, equal scores by image id."""
        return sorted(self._scored, key=lambda pair: (-pair[1].score, pair[0].image_id))[: self._top]
