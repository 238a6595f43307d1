"""What holds for every image tower, on tiny networks of each kind."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from glyphseek.errors import SettingError
from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.clip.tower import ClipBackbone
from glyphseek.types import RgbImage

SHAPES = [(64, 64), (96, 160), (150, 70), (33, 200), (20, 20)]
"""Heights and widths in pixels: square, whole cells, broken cells, a strip, smaller than a cell of a ResNet."""


def photo(height: int, width: int, seed: int = 0) -> RgbImage:
    """Return random blocks of 8 x 8 pixels."""
    shape = (-(-height // 8), -(-width // 8), 3)
    blocks = np.random.default_rng([seed, height, width]).integers(0, 256, shape, dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def encode(backbone: ClipBackbone, pixels: Tensor, is_padding_pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return global_BE, local_BHWE and is_padding_BHW."""
    tokens, is_padding = backbone.image_tokens(pixels, is_padding_pixels)
    return *backbone.pool(tokens, is_padding), is_padding


def with_tiles(backbone: ClipBackbone, tiles: int) -> ClipBackbone:
    copy = deepcopy(backbone)
    copy.settings = replace(backbone.settings, tiles=tiles)
    return copy


def assert_close(found: Tensor, wanted: Tensor) -> None:
    scale = float(wanted.norm(dim=-1).max())
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("tiles", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_padding_changes_nothing(tiny: ClipBackbone, shape: tuple[int, int], tiles: int) -> None:
    backbone = with_tiles(tiny, tiles)
    alone, local, is_padding = encode(backbone, *letterbox([photo(*shape)], multiple=backbone.stride))
    assert not is_padding.any()
    rows, columns = local.shape[1:3]
    for side in (224, 320):
        padded, padded_local, is_padding = encode(
            backbone, *letterbox([photo(*shape)], multiple=backbone.stride, side=side)
        )
        assert_close(padded, alone)
        assert_close(padded_local[:, :rows, :columns], local)
        assert int((~is_padding).sum()) == rows * columns
        assert not padded_local[is_padding].any()


@pytest.mark.parametrize("shape", [(64, 64), (50, 40)])
def test_padding_may_hold_any_pixels(tiny: ClipBackbone, shape: tuple[int, int]) -> None:
    pixels, is_padding = letterbox([photo(*shape)], multiple=32, side=128)
    clean = encode(tiny, pixels, is_padding)
    soiled = encode(tiny, torch.where(is_padding[:, None], torch.rand_like(pixels), pixels), is_padding)
    torch.testing.assert_close(soiled[0], clean[0], rtol=0, atol=0)
    torch.testing.assert_close(soiled[1], clean[1], rtol=0, atol=0)


@pytest.mark.parametrize("tiles", [1, 2])
def test_an_image_is_the_same_alone_and_in_a_batch(tiny: ClipBackbone, tiles: int) -> None:
    backbone = with_tiles(tiny, tiles)
    photos = [photo(*shape) for shape in SHAPES]
    together, local, is_padding = encode(backbone, *letterbox(photos, multiple=backbone.stride))
    for index, image in enumerate(photos):
        alone, own_local, _ = encode(backbone, *letterbox([image], multiple=backbone.stride))
        assert_close(together[index : index + 1], alone)
        assert_close(local[index][~is_padding[index]], own_local.flatten(0, 2))


def test_different_images_differ(tiny: ClipBackbone) -> None:
    vectors, _, _ = encode(tiny, *letterbox([photo(64, 64, 1), photo(64, 64, 2)], multiple=32))
    assert float((vectors[0] - vectors[1]).norm()) > 0.1 * float(vectors[0].norm())


def test_where_something_stands_matters(tiny: ClipBackbone) -> None:
    left, right = np.zeros((64, 128, 3), np.uint8), np.zeros((64, 128, 3), np.uint8)
    left[:, :64] = right[:, 64:] = photo(64, 64)
    vectors, _, _ = encode(with_tiles(tiny, 1), *letterbox([left, right], multiple=32))
    assert float((vectors[0] - vectors[1]).norm()) > 0.05 * float(vectors[0].norm())


def test_tiles_are_encoded_as_if_each_were_an_image(tiny: ClipBackbone) -> None:
    backbone, side = with_tiles(tiny, 2), 96
    image = photo(2 * side, 2 * side)
    quarters = [image[top : top + side, left : left + side] for top in (0, side) for left in (0, side)]
    tokens, is_padding = backbone.image_tokens(*letterbox([image], multiple=32))
    whole, local = backbone.pool(tokens, is_padding)
    half = tokens.shape[1] // 2
    parts = torch.cat(
        [tokens[:, :half, :half], tokens[:, :half, half:], tokens[:, half:, :half], tokens[:, half:, half:]]
    )
    vectors, locals_ = with_tiles(tiny, 1).pool(parts, is_padding[:, :half, :half].expand(4, -1, -1))
    assert_close(whole, vectors.mean(dim=0, keepdim=True))
    top = torch.cat([locals_[0], locals_[1]], dim=1)
    bottom = torch.cat([locals_[2], locals_[3]], dim=1)
    assert_close(local[0], torch.cat([top, bottom], dim=0))
    if backbone.stride == 16:  # a transformer's cells see no neighbours: a tile is the very picture of that quarter
        pictured, _, _ = encode(with_tiles(tiny, 1), *letterbox(quarters, multiple=32))
        assert_close(pictured, vectors)


def test_adapted_tokens_reach_both_vectors(tiny: ClipBackbone) -> None:
    tokens, is_padding = tiny.image_tokens(*letterbox([photo(64, 96)], multiple=32))
    with torch.enable_grad():
        adapted = tokens.clone().requires_grad_()
        vector, local = tiny.pool(adapted, is_padding)
        (by_vector,) = torch.autograd.grad(vector.square().sum(), adapted, retain_graph=True)
        (by_local,) = torch.autograd.grad(local.square().sum(), adapted)
    assert by_vector.abs().sum(dim=-1).min() > 0
    assert by_local.abs().sum(dim=-1).min() > 0


def test_weights_can_be_saved_and_restored(tiny: ClipBackbone) -> None:
    other = deepcopy(tiny)
    batch = letterbox([photo(64, 96)], multiple=32)
    before = encode(other, *batch)[0].clone()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    assert float((encode(other, *batch)[0] - before).norm()) > 1e-3
    other.load_state_dict(tiny.state_dict())
    torch.testing.assert_close(encode(other, *batch)[0], before, rtol=0, atol=0)


def test_no_tensor_has_two_names(tiny: ClipBackbone) -> None:
    places = [value.data_ptr() for value in tiny.state_dict().values() if value.numel()]
    assert len(places) == len(set(places))


def test_a_size_between_cells_is_refused(tiny: ClipBackbone) -> None:
    with pytest.raises(SettingError, match="multiples of"):
        tiny.image_tokens(torch.zeros(1, 3, 64, 72), torch.zeros(1, 64, 72, dtype=torch.bool))


def test_padding_on_the_left_is_refused(tiny: ClipBackbone) -> None:
    is_padding = torch.zeros(1, 64, 96, dtype=torch.bool)
    is_padding[:, :, :32] = True
    with pytest.raises(SettingError, match="right of and below"):
        tiny.image_tokens(torch.zeros(1, 3, 64, 96), is_padding)


def test_text_likelihood_is_one_where_a_backbone_cannot_tell(tiny: ClipBackbone) -> None:
    tokens, _ = tiny.image_tokens(*letterbox([photo(64, 96)], multiple=32))
    likelihood = tiny.text_likelihood(tokens)
    assert likelihood.shape == tokens.shape[:3]
    assert bool((likelihood == 1).all())
