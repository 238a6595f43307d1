"""Many pictures on one, to look at what is rendered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glyphseek.errors import InputError
from glyphseek.types import RgbImage


def contact_sheet(images: Sequence[RgbImage], columns: int, gap: int = 4) -> RgbImage:
    """Return the images in rows of `columns`, left to right, on grey; cells are as large as the largest image.

    Raises InputError without images or columns.
    """
    if not images or columns < 1:
        raise InputError(f"a contact sheet needs images and columns, got {len(images)} and {columns}")
    tall, wide = (max(image.shape[side] for image in images) + gap for side in (0, 1))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * tall, columns * wide, 3), 96, np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * tall, place % columns * wide
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet
