"""Tiny CAYN networks of random weights, none of which is zero or in its first state."""

from __future__ import annotations

import numpy as np
import torch

from glyphseek.models.cayn.building import build_network
from glyphseek.models.cayn.network import Cayn, EncodedImages, EncodedTexts
from glyphseek.models.cayn.settings import TINY_DENSE, CaynSettings
from glyphseek.types import RgbImage


def toy_network(settings: CaynSettings = TINY_DENSE, *, seed: int = 0) -> Cayn:
    """Return a network whose adapter and head have random weights, so that both have effect."""
    torch.manual_seed(seed)
    network = build_network(settings)
    for part in (network.vpa, network.head):
        for parameter in part.parameters() if part is not None else ():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def random_image(height: int, width: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def random_pairs(network: Cayn, count: int = 3, tokens: int = 5, seed: int = 1) -> tuple[EncodedTexts, EncodedImages]:
    """Return texts and images of random vectors; the last of each has padding."""
    generator = torch.Generator().manual_seed(seed)
    width = network.backbone.joint_width

    def units(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, width, generator=generator), dim=-1)

    image_padding, text_padding = torch.zeros(count, tokens, dtype=torch.bool), torch.zeros(count, 4, dtype=torch.bool)
    image_padding[-1, 2:], text_padding[-1, 3:] = True, True
    images = EncodedImages(global_BE=units(count), local_BNE=units(count, tokens), is_padding_BN=image_padding)
    texts = EncodedTexts(global_QE=units(count), tokens_QTE=2.5 * units(count, 4), is_padding_QT=text_padding)
    return texts, images
