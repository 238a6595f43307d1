from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torchvision.ops import roi_align

from glyphseek.models.tdsl.pooling import sample_boxes

SIZE = (8, 24)


def picture() -> torch.Tensor:
    """Return a smooth (3, 120, 200) picture."""
    torch.manual_seed(0)
    return functional.interpolate(torch.randn(1, 3, 12, 20), size=(120, 200), mode="bicubic")[0]


def test_a_box_of_one_pixel_a_cell_is_cut_out() -> None:
    image = picture()
    cut = sample_boxes(image, torch.tensor([[30.0, 40.0, 54.0, 48.0]]), SIZE)
    torch.testing.assert_close(cut[0], image[:, 40:48, 30:54], atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.3])
def test_boxes_up_to_the_size_are_sampled_as_by_roi_align(scale: float) -> None:
    image, box = picture(), torch.tensor([[30.0, 40.0, 30 + 24 / scale, 40 + 8 / scale]])
    aligned = roi_align(image[None], [box], SIZE, sampling_ratio=1, aligned=True)
    torch.testing.assert_close(sample_boxes(image, box, SIZE), aligned, atol=1e-3, rtol=0)


def test_large_boxes_are_averaged_and_not_picked_from() -> None:
    torch.manual_seed(1)
    noise = torch.randn(3, 120, 200)
    seen = sample_boxes(noise, torch.tensor([[0.0, 8.0, 192.0, 72.0]]), SIZE)  # eight pixels a cell
    torch.testing.assert_close(seen[0], functional.avg_pool2d(noise[:, 8:72, :192], 8), atol=1e-4, rtol=0)


def test_boxes_of_all_sizes_keep_their_order_and_see_the_border_beyond_the_image() -> None:
    image = torch.ones(3, 64, 64)
    image[:, :, 8:] = 2.0
    boxes = torch.tensor([[-60.0, 0.0, 4.0, 64.0], [10.0, 10.0, 20.0, 14.0], [0.0, 0.0, 64.0, 64.0]])
    seen = sample_boxes(image, boxes, SIZE)
    assert seen.shape == (3, 3, *SIZE)
    torch.testing.assert_close(seen[0, :, :, :22], torch.ones(3, 8, 22))
    torch.testing.assert_close(seen[1], torch.full((3, *SIZE), 2.0))
    assert 1.5 < seen[2].mean().item() < 2.0
    assert sample_boxes(image, boxes[:0], SIZE).shape == (0, 3, *SIZE)
