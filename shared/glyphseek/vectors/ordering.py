"""From the rows a search engine found to the answer that was asked for: exact in number, order and ties."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glyphseek.types import RowHit


def settle_hits(
    found: Sequence[tuple[int, float]],
    *,
    name_row: Callable[[int, float], RowHit | None],
    limit: int,
    is_all: bool,
) -> list[RowHit] | None:
    """Return the `limit` best hits, best first, ties by image id then instance; or None when more rows must be fetched.

    `found` are pairs of row number and similarity, largest similarity first; `name_row` gives the hit of a row, or None
    for one that is not to be shown. More rows are needed when fewer than `limit` may be shown, or when rows beyond
    `found` may tie with the last one that would be returned; with `is_all` there are none.
    """
    hits = [hit for row, similarity in found if (hit := name_row(row, similarity)) is not None]
    is_settled = is_all or (len(hits) > limit and found[-1][1] < hits[limit - 1].similarity)
    if not is_settled:
        return None
    hits.sort(key=lambda hit: (-hit.similarity, hit.image_id, -1 if hit.instance is None else hit.instance))
    return hits[:limit]
