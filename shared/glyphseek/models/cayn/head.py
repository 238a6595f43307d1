"""The match head: a linear classifier over what PFCA found."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.cayn.settings import HeadInput


class MatchHead(nn.Module):
    """Linear(F -> 2) over the features of P pairs; class 1 is "the word is in the image".

    F is E for the text's finding alone and 2E with the image's: the minimal and the paper-sized head. Weights start at
    zero, where all of a product's features move together: the first thing learned is the cosine.
    """

    def __init__(self, joint_width: int, findings: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(findings * joint_width, 2)
        nn.init.zeros_(self.classifier.weight)

    def forward(self, features_PF: Tensor) -> Tensor:
        """Return logits_P2."""
        return self.classifier(features_PF)


def match_features(found_PE: Tensor, asked_PE: Tensor, form: HeadInput) -> Tensor:
    """Return what the head reads of one finding (P, E): its agreement with what was asked, or the finding itself.

    Unit vectors of width E have components of about 1 / sqrt(E); features are scaled to a mean square of about one, so
    that a linear layer learns from them at usual rates. The sum of "product" features is E times the cosine.
    """
    width = found_PE.shape[-1]
    found = functional.normalize(found_PE, dim=-1)
    if form == "found":
        return found * width**0.5
    return found * functional.normalize(asked_PE, dim=-1) * width


def match_probability(logits_P2: Tensor) -> Tensor:
    """Return the probability (P,) that the word is in the image."""
    return torch.softmax(logits_P2, -1)[..., 1]
