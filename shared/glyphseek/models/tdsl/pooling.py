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


def sample_outlines(image_3HW: Tensor, outlines_N62: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what outlines in pixels show, made level, (N, 3, *size); beyond the image its border goes on."""
    rows, columns = size
    length_N, height_N = measure(outlines_N62)
    cell_N = (length_N * height_N / (rows * columns)).sqrt()
    halvings_N = cell_N.clamp(min=1).log2().round().clamp(max=MOST_HALVINGS).long()
    seen = image_3HW.new_empty(len(outlines_N62), 3, rows, columns)
    picture = image_3HW[None]
    for halving in range(int(halvings_N.max()) + 1 if len(outlines_N62) else 0):
        if halving:
            picture = functional.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)
        of_this = halvings_N == halving
        seen[of_this] = sample_once(picture, outlines_N62[of_this] / 2**halving, size)
    return seen


def sample_once(picture_13HW: Tensor, outlines_N62: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the picture at the middles of the cells of each outline, interpolated between its pixels."""
    height, width = picture_13HW.shape[-2:]
    grid_NRC2 = places_in(outlines_N62 * outlines_N62.new_tensor([2 / width, 2 / height]) - 1, size)
    sampled = functional.grid_sample(
        picture_13HW, grid_NRC2.reshape(1, -1, size[1], 2), padding_mode="border", align_corners=False
    )
    return sampled[0].unflatten(1, (len(outlines_N62), size[0])).transpose(0, 1)
