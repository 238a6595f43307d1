"""What a matcher is asked about, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glyphseek.ranking import ImageMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCandidate:
    """An image to match. aspect: width / height of the displayed image, which only counts for phrases."""

    image_id: str
    aspect: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedImage:
    """An image and how well it answers the query."""

    image_id: str
    match: ImageMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How well images answer a query.

    images: those that were wanted, best first, equal scores by image id. unusable_ids: the images whose instances could
    not be had, in the order asked; faults counts them by what was wrong with their blob. asked: how many different
    images the request named. cache_hits: images whose blob had not to be read. fetched_bytes: of the blobs that were
    read. fetch_ms and score_ms: milliseconds until all instances were there, and from there to the matches.
    """

    images: tuple[MatchedImage, ...]
    unusable_ids: tuple[str, ...]
    asked: int
    faults: Mapping[str, int]
    cache_hits: int
    fetched_bytes: int
    fetch_ms: float
    score_ms: float

    @property
    def coverage(self) -> float:
        """Return the share [0, 1] of the asked images whose instances could be used; 1 when none was asked for."""
        return 1.0 - len(self.unusable_ids) / self.asked if self.asked else 1.0
