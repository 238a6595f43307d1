"""Attention maps to places: where in an image each term of a query seems to be written.

T terms, H and W rows and columns of the map, N regions of one image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glyphseek.types import FloatArray

LEAST_SHARE = 0.5
"""A region is what lies above this share of a map's highest value."""
MOST_REGIONS = 4
"""Regions kept for one term, highest first: as many times as it may be asked for in one query and found."""

_NEIGHBOURS = np.ones((3, 3), dtype=bool)  # cells that touch at a corner belong together


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Places in one image. owners_N: the term whose map a region was cut from; each has at least one, highest first.

    boxes_N4: left, top, right, bottom, fractions of the image. shares_TN: how high the map of any term reaches within
    the region, as a share [0, 1] of its highest value; 1 for the owner's first region.
    """

    owners_N: NDArray[np.intp]
    boxes_N4: FloatArray
    shares_TN: FloatArray


def find_regions(attention: Sequence[FloatArray]) -> Regions:
    """Return the regions of T maps (H, W), all of one shape, not negative: the connected parts above half of the top.

    Of one term at most `MOST_REGIONS`; parts of equal height stand in reading order. The box goes around whole cells.
    """
    shares_THW = np.stack([share_of_highest(one) for one in attention])
    cut = [(term, cells) for term, shares_HW in enumerate(shares_THW) for cells in _cut(shares_HW)]
    return Regions(
        owners_N=np.array([term for term, _ in cut], dtype=np.intp),
        boxes_N4=np.array([_box(cells) for _, cells in cut], dtype=np.float32),
        shares_TN=np.stack([shares_THW[:, cells].max(axis=1) for _, cells in cut], axis=1),
    )


def share_of_highest(attention_HW: FloatArray) -> FloatArray:
    """Return the map with its highest value at 1; a map of zeros becomes one of ones: nowhere more than elsewhere."""
    highest = float(attention_HW.max())
    return attention_HW / np.float32(highest) if highest > 0 else np.ones_like(attention_HW)


def _cut(shares_HW: FloatArray) -> Iterator[NDArray[np.bool_]]:
    """Yield the connected parts at `LEAST_SHARE` or more, highest first."""
    labels_HW = np.empty(shares_HW.shape, dtype=np.int32)
    count = cast(int, ndimage.label(shares_HW >= LEAST_SHARE, _NEIGHBOURS, output=labels_HW))
    heights = [float(shares_HW[labels_HW == label].max()) for label in range(1, count + 1)]
    for place in np.argsort([-height for height in heights], kind="stable")[:MOST_REGIONS]:
        yield labels_HW == place + 1


def _box(cells_HW: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(cells_HW.any(axis=1)), np.flatnonzero(cells_HW.any(axis=0))
    height, width = cells_HW.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
