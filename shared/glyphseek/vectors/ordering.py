"""From the rows a search found to the answer that was asked for."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from glyphseek.types import RowHit
from glyphseek.vectors.scan_table import TableHits


def order_hits(found: TableHits, *, limit: int, has_instances: bool) -> list[RowHit]:
    """Return the `limit` best hits, best first, ties by image id then instance.

    `found` must hold every row that equals the last of them. Without instances a row stands for its whole image.
    """
    best = _order(found)[:limit]
    return list(
        map(
            RowHit,
            [found.images[place].record.image_id for place in best],
            [found.instances[place] for place in best] if has_instances else repeat(None),
            found.similarities_F[best].tolist(),
        )
    )


def _order(found: TableHits) -> list[int]:
    """Return the places of the rows, best first."""
    places_F = np.argsort(-found.similarities_F, kind="stable")
    ordered_F = found.similarities_F[places_F]
    places: list[int] = places_F.tolist()
    if (ordered_F[1:] == ordered_F[:-1]).any():
        negated: list[float] = (-found.similarities_F).tolist()
        places.sort(key=lambda place: (negated[place], found.images[place].record.image_id, found.instances[place]))
    return places
