"""Local tokens of the vision transformer: the last block with every attention row a one-hot on itself."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor

from glyphseek.models.clip.settings import LocalPath
from glyphseek.models.clip.vit import VitBackbone, attend_to_self


def last_block(backbone: VitBackbone) -> ResidualAttentionBlock:
    block = backbone.visual.transformer.resblocks[-1]
    assert isinstance(block, ResidualAttentionBlock)
    return block


def masked_attention(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """Return the block's own attention, each token forbidden to look at any other."""
    only_self = torch.full((x.shape[1], x.shape[1]), float("-inf")).fill_diagonal_(0.0)
    return block.ls_1(block.attention(block.ln_1(x), attn_mask=only_self))


@pytest.mark.parametrize("path", ["value", "residual", "block"])
def test_local_path_is_the_masked_block_cut_short(tiny_vit: VitBackbone, path: LocalPath) -> None:
    block, x = last_block(tiny_vit), torch.randn(2, 7, 32)
    attended = masked_attention(block, x)
    whole = x + attended
    wanted = {"value": attended, "residual": whole, "block": whole + block.ls_2(block.mlp(block.ln_2(whole)))}
    torch.testing.assert_close(attend_to_self(block, x, path), wanted[path], rtol=1e-4, atol=1e-5)


def test_local_tokens_of_one_tile_are_the_last_blocks(tiny_vit: VitBackbone) -> None:
    whole = deepcopy(tiny_vit)
    whole.settings = replace(tiny_vit.settings, tiles=1, local_path="block")
    visual = whole.visual
    pixels = torch.rand(1, 3, 64, 64)
    layers = len(visual.transformer.resblocks)
    normalised = (pixels - whole.mean) / whole.deviation
    told = visual.forward_intermediates(normalised, indices=[layers - 2], output_fmt="NLC", output_extra_tokens=True)
    x = torch.cat([told["image_intermediates_prefix"][0], told["image_intermediates"][0]], dim=1)
    only_self = torch.full((17, 17), float("-inf")).fill_diagonal_(0.0)
    wanted = visual.ln_post(last_block(whole)(x, attn_mask=only_self)) @ visual.proj
    _, local = whole.pool(*whole.image_tokens(pixels, torch.zeros(1, 64, 64, dtype=torch.bool)))
    torch.testing.assert_close(local.flatten(1, 2), wanted[:, 1:], rtol=1e-4, atol=1e-5)


def test_tokens_are_the_patch_embeddings(tiny_vit: VitBackbone) -> None:
    pixels = torch.rand(1, 3, 32, 48)
    tokens, _ = tiny_vit.image_tokens(pixels, torch.zeros(1, 32, 48, dtype=torch.bool))
    patch = (pixels - tiny_vit.mean) / tiny_vit.deviation
    wanted = (tiny_vit.visual.conv1.weight * patch[0, :, 16:32, 32:48]).sum(dim=(1, 2, 3))
    torch.testing.assert_close(tokens[0, 1, 2], wanted, rtol=1e-4, atol=1e-5)
