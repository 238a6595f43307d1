"""NLC and HEM: which pairs of a batch are true, and which false ones the matching loss is shown."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor

from glyphseek.models.cayn.settings import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of a batch as indices: texts_P and images_P, both int64."""

    texts_P: Tensor
    images_P: Tensor


def true_matches(words: Sequence[str], words_of_images: Sequence[AbstractSet[str]]) -> Tensor:
    """Return (Q, B) bool: whether word q occurs in image b. This is NLC, negative label calibration.

    A batch of samples (image, one of its words) has more true pairs than its diagonal: `open` stands on many signs.
    """
    return torch.tensor([[word in present for present in words_of_images] for word in words], dtype=torch.bool)


def sample_negatives(logits_BB: Tensor, is_true_BB: Tensor, sampling: Sampling, generator: torch.Generator) -> Pairs:
    """Return one false image for each text and one false text for each image, at most 2B pairs; texts' come first.

    "hem" (hard example mining) draws with the probabilities softmax(logits), where true pairs have none; "uniform"
    gives all false pairs the same. A row in which every pair is true has no negative and is left out.
    `logits_BB` are texts by images, cosines times exp(logit_scale); no gradient flows. `generator` is on the CPU.
    """
    logits_BB = logits_BB.detach().float().cpu()
    if sampling == "uniform":
        logits_BB = torch.zeros_like(logits_BB)
    is_true_BB = is_true_BB.cpu()
    texts, images = draw_false(logits_BB, is_true_BB, generator)
    more_images, more_texts = draw_false(logits_BB.T, is_true_BB.T, generator)
    return Pairs(texts_P=torch.cat([texts, more_texts]), images_P=torch.cat([images, more_images]))


def draw_false(logits_RC: Tensor, is_true_RC: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return (rows, columns): for each row that has a false column, one drawn from the softmax over its false ones."""
    rows = (~is_true_RC).any(1).nonzero()[:, 0]
    if not len(rows):
        return rows, rows
    chances = logits_RC[rows].masked_fill(is_true_RC[rows], -torch.inf).softmax(1)
    return rows, torch.multinomial(chances, 1, generator=generator)[:, 0]
