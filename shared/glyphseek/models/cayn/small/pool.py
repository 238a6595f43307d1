"""The attention pool of the small CLIP: CLIP's own, with text logits added to the attention's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.cayn.small.trunk import text_logits


class TextPool(nn.Module):
    """One query, the mean token, attends to all tokens; its value path alone gives the local tokens (VCD).

    A word is a small part of a photo, so what looks like text is favoured from the first step: each head adds the
    token's text logit, times a learned factor, to its attention logits.
    """

    def __init__(self, token_width: int, joint_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(token_width, token_width)
        self.k_proj = nn.Linear(token_width, token_width)
        self.v_proj = nn.Linear(token_width, token_width)
        self.c_proj = nn.Linear(token_width, joint_width)
        self.text_factor = nn.Parameter(torch.ones(heads))
        nn.init.zeros_(self.k_proj.weight)

    def forward(self, tokens_BNC: Tensor, is_padding_BN: Tensor) -> Tensor:
        """Return the pooled image (B, E), not normalised; padding takes no part."""
        batch, count, width = tokens_BNC.shape
        share = width // self.heads
        weights = (~is_padding_BN).to(tokens_BNC.dtype)
        mean = (tokens_BNC * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)
        q = self.q_proj(mean).view(batch, self.heads, 1, share)
        k = self.k_proj(tokens_BNC).view(batch, count, self.heads, share).transpose(1, 2)
        v = self.v_proj(tokens_BNC).view(batch, count, self.heads, share).transpose(1, 2)
        bias = self.text_factor[None, :, None, None] * text_logits(tokens_BNC)[:, None, None]
        bias = bias.masked_fill(is_padding_BN[:, None, None], float("-inf"))
        pooled = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.c_proj(pooled.transpose(1, 2).reshape(batch, width))

    def local(self, tokens_BNC: Tensor) -> Tensor:
        """Return the local tokens (B, N, E): attention replaced by each token's own value (VCD, equation 2)."""
        return self.c_proj(self.v_proj(tokens_BNC))
