"""Images with their scores, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from glyphseek.matching import Bar
from glyphseek.ranking import ImageMatch
from glyphseek.search.result import Stage
from glyphseek.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One image, how well it answers the query, and what said so; attention has the map (H, W) of each term."""

    image_id: str
    match: ImageMatch
    stages: tuple[Stage, ...]
    attention: tuple[FloatArray, ...] | None = None


def order_scored(images: Iterable[Scored]) -> list[Scored]:
    """Return the images that score above 0, best first, equal scores by image id; one that scores 0 is no answer."""
    kept = (one for one in images if one.match.score > 0.0)
    return sorted(kept, key=lambda one: (-one.match.score, one.image_id))


class Leaders:
    """Keeps scored images; the `top` best are the answer."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._bar = Bar(top)
        self._scored: list[Scored] = []

    @property
    def least_score(self) -> float:
        """Return the score below which no other image can be among the best."""
        return self._bar.score

    def admit(self, bound: float) -> bool:
        """Return whether an image that scores at most `bound` may be among the best, by its score or by its id."""
        return self._bar.admit(bound)

    def add(self, image: Scored) -> None:
        """Keep a scored image; one that scores 0 is no answer and is dropped."""
        if image.match.score > 0.0:
            self._scored.append(image)
            self._bar.add(image.match.score)

    def best(self) -> list[Scored]:
        """Return the `top` best images, best first, equal scores by image id."""
        return order_scored(self._scored)[: self._top]
