from __future__ import annotations

import numpy as np
import pytest
import torch

from glyphseek.models.cayn.letterbox import letterbox, round_up


def test_every_pixel_of_every_image_is_kept() -> None:
    images = [
        np.random.default_rng(i).integers(0, 256, (h, w, 3), dtype=np.uint8)
        for i, (h, w) in enumerate([(40, 33), (7, 90)])
    ]
    pixels, is_padding = letterbox(images, multiple=32)
    assert pixels.shape == (2, 3, 64, 96)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        own = pixels[index, :, :height, :width].permute(1, 2, 0)
        assert torch.equal((own * 255).round().to(torch.uint8), torch.from_numpy(image))
        assert int((~is_padding[index]).sum()) == height * width
        assert not pixels[index].permute(1, 2, 0)[is_padding[index]].any()


def test_a_fixed_side_makes_a_square() -> None:
    pixels, _ = letterbox([np.zeros((10, 20, 3), np.uint8)], multiple=32, side=96)
    assert pixels.shape == (1, 3, 96, 96)


@pytest.mark.parametrize("side", [32, 100])
def test_a_side_that_cannot_hold_the_images_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"side is {side}"):
        letterbox([np.zeros((40, 20, 3), np.uint8)], multiple=32, side=side)


def test_rounding_up_keeps_multiples() -> None:
    assert [round_up(value, 32) for value in (1, 32, 33, 64)] == [32, 32, 64, 64]
