"""Boxes of an image, each stretched to one size.

RoIAlign takes as many samples for a cell as the box has pixels there, which costs most for the largest words. Here the
image is halved first until a cell is about one pixel, as textures are drawn (Williams, SIGGRAPH 1983), and sampled once
a cell.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MOST_HALVINGS = 4


def sample_boxes(image_3HW: Tensor, boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what boxes (N, 4) in pixels show, (N, 3, *size); beyond the image its border goes on."""
    rows, columns = size
    sides_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    cell_N = (sides_N2.prod(1).clamp(min=0) / (rows * columns)).sqrt()
    halvings_N = cell_N.clamp(min=1).log2().round().clamp(max=MOST_HALVINGS).long()
    seen = image_3HW.new_empty(len(boxes_N4), 3, rows, columns)
    picture = image_3HW[None]
    for halving in range(int(halvings_N.max()) + 1 if len(boxes_N4) else 0):
        if halving:
            picture = functional.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)
        of_this = halvings_N == halving
        seen[of_this] = sample_once(picture, boxes_N4[of_this] / 2**halving, size)
    return seen


def sample_once(picture_13HW: Tensor, boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the picture at the middles of the cells of each box, interpolated between its pixels."""
    (rows, columns), (height, width) = size, picture_13HW.shape[-2:]
    left, top, right, bottom = (boxes_N4[:, i : i + 1] for i in range(4))
    across = (torch.arange(columns, device=boxes_N4.device) + 0.5) / columns
    down = (torch.arange(rows, device=boxes_N4.device) + 0.5) / rows
    x_NC = (left + (right - left) * across) * (2 / width) - 1
    y_NR = (top + (bottom - top) * down) * (2 / height) - 1
    shape = (len(boxes_N4), rows, columns)
    grid = torch.stack([x_NC[:, None].expand(shape), y_NR[:, :, None].expand(shape)], -1)
    sampled = functional.grid_sample(
        picture_13HW, grid.reshape(1, -1, columns, 2), padding_mode="border", align_corners=False
    )
    return sampled[0].unflatten(1, (len(boxes_N4), rows)).transpose(0, 1)
