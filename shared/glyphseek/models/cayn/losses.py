"""The two losses of CAYN: L = L_ITC + lambda L_ITM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def itc_loss(logits_BB: Tensor, is_true_BB: Tensor | None = None) -> Tensor:
    """Return the symmetric InfoNCE: text b belongs to image b and to no other; the mean of both directions.

    `logits_BB` are texts by images, cosines times exp(logit_scale). With `is_true_BB` (NLC) true pairs off the diagonal
    are no negatives; the paper does without, which keeps harder negatives.
    """
    if is_true_BB is not None:
        others = is_true_BB & ~torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
        logits_BB = logits_BB.masked_fill(others, -torch.inf)
    own = torch.arange(len(logits_BB), device=logits_BB.device)
    return (functional.cross_entropy(logits_BB, own) + functional.cross_entropy(logits_BB.T, own)) / 2


def itm_loss(logits_P2: Tensor, is_match_P: Tensor) -> Tensor:
    """Return the two-way cross entropy over pairs, class 1 where `is_match_P` (bool); each pair counts the same."""
    return functional.cross_entropy(logits_P2, is_match_P.long())
