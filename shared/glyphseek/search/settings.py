"""How much work one search may do."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError
from glyphseek.types import ModelCard

DEFAULT_RERANK = 32
"""Images reranked where neither the search, nor the settings, nor the model's card say how many."""

_AT_LEAST_ONE = (
    "candidates",
    "round_images",
    "rows_per_vector",
    "min_rows_per_vector",
    "max_rows",
    "max_top",
    "max_rerank",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Bounds of one search; impossible ones raise SettingError.

    candidates: images that are matched exactly, those that recall likes best. `top` raises it for one search.
    round_images: images fetched at first. Each further round doubles it, until no image left can be among the best; for
        most queries that is after one round, and blobs are the larger part of what is not recall. Of a model with
        letters, all candidates are one round.
    rows_per_vector: rows recall asks for each query vector. Several rows may be of one image, and images that lack one
        word of a query crowd out those that have all, so it is larger than `candidates`.
    max_rows: rows of one search over all its vectors; a query of many vectors (prefixes have one for each length) gets
        fewer rows for each, but at least `min_rows_per_vector`.
    max_top: most hits of one search.
    rerank: images whose token maps are scored, for a model that has them; a search may ask for another number up to
        `max_rerank`. None: as many as the model's card recommends, and 32 where it does not; the published methods gain
        little beyond that. 0 leaves the order of recall.
    """

    candidates: int = 200
    round_images: int = 32
    rows_per_vector: int = 400
    min_rows_per_vector: int = 25
    max_rows: int = 8000
    max_top: int = 1000
    rerank: int | None = None
    max_rerank: int = 512

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if (value := getattr(self, name)) < 1:
                raise SettingError(f"{name} is {value}, it must be at least 1")
        if self.rerank is not None:
            self.check_rerank(self.rerank)

    def rerank_of(self, card: ModelCard) -> int:
        """Return how many images a search reranks that does not say: never more than `max_rerank`."""
        if self.rerank is not None:
            return self.rerank
        return min(DEFAULT_RERANK if card.rerank_depth is None else card.rerank_depth, self.max_rerank)

    def check_rerank(self, rerank: int) -> int:
        """Return how many images to rerank. Raises SettingError outside 0 to `max_rerank`."""
        if not 0 <= rerank <= self.max_rerank:
            raise SettingError(f"rerank is {rerank}, it must be 0 to {self.max_rerank}")
        return rerank

    def rows_for(self, vectors: int, top: int) -> int:
        """Return the rows to ask for each of `vectors` query vectors, for a search of `top` hits."""
        wanted = max(self.rows_per_vector, top)
        return max(self.min_rows_per_vector, min(wanted, self.max_rows // max(vectors, 1)))
