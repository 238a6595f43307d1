"""CLIP's vision transformer: patches, a class token, and local tokens out of the last block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.clip.positions import square
from glyphseek.models.clip.settings import ClipSettings, LocalPath
from glyphseek.models.clip.text import TextTower
from glyphseek.models.clip.tower import ClipBackbone


class VitBackbone(ClipBackbone):
    """ViT-B-16. Tokens are patch embeddings, before positions; everything else is pooling."""

    prefix_tokens = 1

    def __init__(
        self, settings: ClipSettings, visual: VisionTransformer, text: TextTower, logit_scale: nn.Parameter
    ) -> None:
        super().__init__(settings, text, logit_scale)
        self.visual = visual

    def embed_pixels(self, normalised_B3HW: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
        """Return the patch embeddings; a patch sees no other, so padding needs no care here."""
        return self.visual.conv1(normalised_B3HW)

    def lay_out(self, tokens_HWC: Tensor) -> Tensor:
        """Return the class token, then all tokens, each with its position, normalised."""
        table_NC = self.visual.positional_embedding
        positions_HWC = self.positions.at(square(table_NC[1:]), *tokens_HWC.shape[:2])
        class_1C = self.visual.class_embedding[None] + table_NC[:1]
        return self.visual.ln_pre(torch.cat([class_1C, (tokens_HWC + positions_HWC).flatten(0, 1)]))

    def encode_sequences(self, sequences_TLC: Tensor, is_padding_TL: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the projected class token, and each token as its attention to itself alone would leave it."""
        *blocks, last = cast(Iterable[ResidualAttentionBlock], self.visual.transformer.resblocks)
        x = sequences_TLC
        for block in blocks:
            x = _run_block(block, x, x, is_padding_TL)
        class_T1C = _run_block(last, x[:, :1], x, is_padding_TL)
        return self._project(class_T1C)[:, 0], self._project(attend_to_self(last, x, self.settings.local_path))

    def _project(self, x: Tensor) -> Tensor:
        return self.visual.ln_post(x) @ self.visual.proj


def _run_block(block: ResidualAttentionBlock, queries: Tensor, x: Tensor, is_padding_TL: Tensor | None) -> Tensor:
    """Return the block's output for some tokens of `x`, which attend to all that are not padding."""
    keys = block.ln_1(x)
    asked = keys if queries is x else block.ln_1(queries)
    mixed = block.attn(asked, keys, keys, need_weights=False, key_padding_mask=is_padding_TL)[0]
    out = queries + block.ls_1(mixed)
    return out + block.ls_2(block.mlp(block.ln_2(out)))


def attend_to_self(block: ResidualAttentionBlock, x: Tensor, path: LocalPath) -> Tensor:
    """Return the block's output when each token's attention row is a one-hot on itself, cut short by `path`."""
    width = block.attn.embed_dim
    weight, bias = block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
    out = block.ls_1(block.attn.out_proj(functional.linear(block.ln_1(x), weight, bias)))
    match path:
        case "value":
            return out
        case "residual":
            return x + out
        case "block":
            return x + out + block.ls_2(block.mlp(block.ln_2(x + out)))
