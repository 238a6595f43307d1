"""SigLIP's vision transformer: patches, no class token, pooled by the attention of one learned query."""

from __future__ import annotations

from typing import cast

from timm.layers.attention_pool import AttentionPoolLatent
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.clip.positions import square
from glyphseek.models.clip.settings import ClipSettings, LocalPath
from glyphseek.models.clip.text import TextTower
from glyphseek.models.clip.tower import ClipBackbone, attend_to


class SiglipBackbone(ClipBackbone):
    """ViT-B-16-SigLIP-512. Tokens are patch embeddings, before positions; everything else is pooling."""

    prefix_tokens = 0

    def __init__(
        self, settings: ClipSettings, visual: VisionTransformer, text: TextTower, logit_scale: nn.Parameter
    ) -> None:
        super().__init__(settings, text, logit_scale)
        self.visual = visual

    def embed_pixels(self, normalised_B3HW: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
        """Return the patch embeddings; a patch sees no other, so padding needs no care here."""
        return self.visual.patch_embed.proj(normalised_B3HW)

    def lay_out(self, tokens_HWC: Tensor) -> Tensor:
        """Return all tokens, each with its position."""
        table_NC = cast(Tensor, self.visual.pos_embed)[0]
        return (tokens_HWC + self.positions.at(square(table_NC), *tokens_HWC.shape[:2])).flatten(0, 1)

    def encode_sequences(self, sequences_TLC: Tensor, is_padding_TL: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the head's answer to its query, and its answer were all attention on that token alone."""
        mask = attend_to(is_padding_TL)
        x = sequences_TLC
        for block in cast(list[Block], self.visual.blocks):
            x = block(x, attn_mask=mask)
        x = self.visual.norm(x)
        head = cast(AttentionPoolLatent, self.visual.attn_pool)
        return head(x, attn_mask=mask), attend_to_one(head, x, self.settings.local_path)


def attend_to_one(head: AttentionPoolLatent, x: Tensor, path: LocalPath) -> Tensor:
    """Return the head's output for each token when it takes all attention; without the MLP unless `path` is block."""
    width = x.shape[-1]
    out = head.proj(functional.linear(x, head.kv.weight[width:], head.kv.bias[width:]))
    return out + cast(nn.Module, head.mlp)(head.norm(out)) if path == "block" else out
