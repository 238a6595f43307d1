"""Words of an image, each stretched to one size.

RoIAlign takes as many samples for a cell as the box has pixels there, which costs most for the largest words. Here the
image is halved first until a cell is about one pixel, as textures are drawn (Williams, SIGGRAPH 1983), and sampled once
a cell.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from glyphseek.models.tdsl.outlines import measure, outlines_of, places_in

MOST_HALVINGS = 4


def sample_boxes(image_3HW: Tensor, boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what boxes (N, 4) in pixels show, (N, 3, *size); beyond the image its border goes on."""
    return sample_outlines(image_3HW, outlines_of(boxes_N4), size)


def sample_outlines(image_3HW: Tensor, outlines_N62: Tensor, size: tuple[int, int], *, margin: float = 0.0) -> Tensor:
    """Return what outlines in pixels show, made level, (N, 3, *size); beyond the image its border goes on.

    Outlines grow first, by `margin` times the distance of their edges on every side.
    """
    rows, columns = size
    length_N, height_N = measure(outlines_N62)
    grown = (length_N + 2 * margin * height_N) * height_N * (1 + 2 * margin)
    cell_N = (grown / (rows * columns)).sqrt()
    halvings_N = cell_N.clamp(min=1).log2().round().clamp(max=MOST_HALVINGS).long()
    places_NRC2 = places_in(outlines_N62, size, margin)
    seen = image_3HW.new_empty(len(outlines_N62), 3, rows, columns)
    picture = image_3HW[None]
    for halving in range(int(halvings_N.max()) + 1 if len(outlines_N62) else 0):
        if halving:
            picture = functional.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)
        of_this = halvings_N == halving
        seen[of_this] = sample_once(picture, places_NRC2[of_this] / 2**halving)
    return seen


def sample_once(picture_13HW: Tensor, places_NRC2: Tensor) -> Tensor:
    """Return the picture at places (x, y), (N, 3, rows, columns), interpolated between its pixels."""
    count, rows, columns, _ = places_NRC2.shape
    height, width = picture_13HW.shape[-2:]
    grid = places_NRC2 * places_NRC2.new_tensor([2 / width, 2 / height]) - 1
    sampled = functional.grid_sample(
        picture_13HW, grid.reshape(1, -1, columns, 2), padding_mode="border", align_corners=False
    )
    return sampled[0].unflatten(1, (count, rows)).transpose(0, 1)
