"""CLIP's ResNets: convolutional trunk, then one attention pool."""

from __future__ import annotations

from typing import cast

import torch
from open_clip.modified_resnet import AttentionPool2d, Bottleneck, ModifiedResNet
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.clip.positions import square
from glyphseek.models.clip.settings import ClipSettings
from glyphseek.models.clip.text import TextTower
from glyphseek.models.clip.tower import ClipBackbone, attend_to


class ResNetBackbone(ClipBackbone):
    """RN50, RN50x4 and RN50x16. Tokens are those of the last stage, flattened; local tokens are c_proj(v_proj(x))."""

    prefix_tokens = 1

    def __init__(
        self, settings: ClipSettings, visual: ModifiedResNet, text: TextTower, logit_scale: nn.Parameter
    ) -> None:
        super().__init__(settings, text, logit_scale)
        self.visual = visual

    def embed_pixels(self, normalised_B3HW: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
        """Return the map of the last stage; padding is emptied before each wide convolution.

        Batch norm lifts empty places off 0. Next to the edge of an image they must be 0, as they are beyond the edge
        of the batch: otherwise an image would depend on its padding.
        """
        x = _run_stem(self.visual, normalised_B3HW, is_own_B1HW)
        for stage in (self.visual.layer1, self.visual.layer2, self.visual.layer3, self.visual.layer4):
            for block in stage:
                x = _run_block(cast(Bottleneck, block), x, is_own_B1HW)
        return x

    def lay_out(self, tokens_HWC: Tensor) -> Tensor:
        """Return the mean token, then all tokens, each with its position."""
        table_NC = self.visual.attnpool.positional_embedding
        positions_HWC = self.positions.at(square(table_NC[1:]), *tokens_HWC.shape[:2])
        mean_1C = tokens_HWC.mean(dim=(0, 1))[None] + table_NC[:1]
        return torch.cat([mean_1C, (tokens_HWC + positions_HWC).flatten(0, 1)])

    def encode_sequences(self, sequences_TLC: Tensor, is_padding_TL: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the pool's answer to the mean token, and what each token would give if it attended to itself alone."""
        pool: AttentionPool2d = self.visual.attnpool
        values_TLC = pool.v_proj(sequences_TLC)
        query, keys, values = (
            x.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
            for x in (pool.q_proj(sequences_TLC[:, :1]), pool.k_proj(sequences_TLC), values_TLC)
        )
        mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=attend_to(is_padding_TL))
        return pool.c_proj(mixed.transpose(1, 2).flatten(2)[:, 0]), pool.c_proj(values_TLC)


def _run_stem(trunk: ModifiedResNet, x: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
    x = _empty_padding(trunk.act1(trunk.bn1(trunk.conv1(x))), is_own_B1HW)
    x = _empty_padding(trunk.act2(trunk.bn2(trunk.conv2(x))), is_own_B1HW)
    return trunk.avgpool(trunk.act3(trunk.bn3(trunk.conv3(x))))


def _run_block(block: Bottleneck, x: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
    """Return the bottleneck's output; only its second convolution sees neighbours."""
    out = _empty_padding(block.act1(block.bn1(block.conv1(x))), is_own_B1HW)
    out = block.avgpool(block.act2(block.bn2(block.conv2(out))))
    out = block.bn3(block.conv3(out))
    return block.act3(out + (x if block.downsample is None else block.downsample(x)))


def _empty_padding(x: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
    """Return x with 0 in the cells of padding; x is finer than the cells by a whole factor."""
    if is_own_B1HW is None:
        return x
    factor = x.shape[-1] // is_own_B1HW.shape[-1]
    is_own = is_own_B1HW.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    return x.masked_fill(~is_own, 0.0)
