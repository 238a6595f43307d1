"""From the rows a search found to the answer that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from glyphseek.types import RowHit
from glyphseek.vectors.scan_table import TableHit


def order_hits(found: Sequence[TableHit], *, limit: int, has_instances: bool) -> list[RowHit]:
    """Return the `limit` best hits, best first, ties by image id then instance.

    `found` must hold every row that equals the last of them. Without instances a row stands for its whole image.
    """
    best = _order(found)[:limit]
    return [
        RowHit(
            image_id=hit.image.record.image_id,
            instance=hit.instance if has_instances else None,
            similarity=hit.similarity,
        )
        for hit in best
    ]


def _order(found: Sequence[TableHit]) -> list[TableHit]:
    if len({hit.similarity for hit in found}) == len(found):
        return sorted(found, key=attrgetter("similarity"), reverse=True)
    return sorted(found, key=lambda hit: (-hit.similarity, hit.image.record.image_id, hit.instance))
