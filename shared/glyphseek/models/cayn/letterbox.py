"""Photos of any shape to one batch: padded right and below with black, never cropped, every pixel as it comes.

What stretching there is happens before, in `encoder.shrink`: by 1 / 8 of a side at most, to whole cells of the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glyphseek.types import RgbImage


def letterbox(images: Sequence[RgbImage], *, multiple: int, side: int | None = None) -> tuple[Tensor, Tensor]:
    """Return pixels_B3HW (float32 RGB in [0, 1], 0 in padding) and is_padding_BHW (bool) of at least one image.

    Height and width are the smallest multiples of `multiple` pixels that hold every image, or `side` where it is given
    (then images of one batch and of another have the same, square shape). Raises ValueError when `side` is no multiple
    or smaller than an image.
    """
    height = round_up(max(image.shape[0] for image in images), multiple)
    width = round_up(max(image.shape[1] for image in images), multiple)
    if side is not None:
        if side % multiple or side < max(height, width):
            raise ValueError(f"side is {side}; it must be a multiple of {multiple} and at least {max(height, width)}")
        height = width = side
    pixels_B3HW = torch.zeros(len(images), 3, height, width)
    is_padding_BHW = torch.ones(len(images), height, width, dtype=torch.bool)
    for index, image in enumerate(images):
        rows, columns = image.shape[:2]
        values = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        pixels_B3HW[index, :, :rows, :columns] = values.to(torch.float32) / 255
        is_padding_BHW[index, :rows, :columns] = False
    return pixels_B3HW, is_padding_BHW


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is not smaller than `value`."""
    return -(-value // multiple) * multiple
