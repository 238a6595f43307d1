"""From the rows a search found to the answer that was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glyphseek.types import RowHits
from glyphseek.vectors.scan_table import TableHits


def order_hits(found: TableHits, *, limit: int, has_instances: bool) -> RowHits:
    """Return the `limit` best hits, best first, ties by image id then instance.

    `found` must hold every row that equals the last of them. Without instances a row stands for its whole image.
    """
    best = _order(found)[:limit]
    return RowHits(
        [found.images[place].record.image_id for place in best.tolist()],
        found.instances_F[best] if has_instances else None,
        found.similarities_F[best],
    )


def _order(found: TableHits) -> NDArray[np.intp]:
    """Return the places of the rows, best first."""
    places_F = np.argsort(-found.similarities_F, kind="stable")
    ordered_F = found.similarities_F[places_F]
    if (ordered_F[1:] == ordered_F[:-1]).any():
        image_ids = np.array([image.record.image_id for image in found.images], dtype=object)
        return np.lexsort((found.instances_F, image_ids, -found.similarities_F))
    return places_F
