"""What is trained: the dense CLIP, and heads that only training uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glyphseek.models.cayn.dense.backbone import DenseClip, normalize
from glyphseek.models.cayn.dense.settings import ALPHABET, DenseSettings

SPELT_STEPS = 12
"""Places along a word at which the spelling head is asked for a letter."""


class Reader(nn.Module):
    """The dense CLIP with two heads that tell it early what letters are: which one is here, and how the word is spelt.

    Both heads are dropped after training; they are why a few thousand steps are enough on a laptop.
    """

    def __init__(self, settings: DenseSettings) -> None:
        super().__init__()
        self.settings = settings
        self.clip = DenseClip(settings)
        self.letters = nn.Conv2d(settings.channels[2], len(ALPHABET), 1)
        self.spelling = nn.Linear(settings.joint_width, SPELT_STEPS * len(ALPHABET))

    def see(self, images_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the letter logits (B, letters, H, W) and tokens (B, C, H, W) of windows of RGB in [0, 255]."""
        trunk = self.clip.trunk
        pixels = normalize(images_B3HW / 255).contiguous(memory_format=torch.channels_last)
        seen = trunk.letters(pixels, None)
        return self.letters(seen), trunk.words(seen, None)

    def read(self, tokens_NC: Tensor) -> Tensor:
        """Return the local tokens (N, E) of trunk tokens, not normalised."""
        return self.clip.attention_pool.local(tokens_NC)

    def spell(self, local_NE: Tensor) -> Tensor:
        """Return letter logits (N, SPELT_STEPS, letters) for places evenly spread over the word."""
        return self.spelling(local_NE).view(len(local_NE), SPELT_STEPS, -1)
