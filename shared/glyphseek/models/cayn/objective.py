"""What one training step of CAYN minimises, from encoded texts and images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor

from glyphseek.models.cayn.losses import itc_loss, itm_loss
from glyphseek.models.cayn.negatives import sample_negatives, true_matches
from glyphseek.models.cayn.network import Cayn, EncodedImages, EncodedTexts
from glyphseek.models.cayn.settings import LossSettings


def contrast_logits(network: Cayn, texts: EncodedTexts, images: EncodedImages) -> Tensor:
    """Return cosines of texts by images (Q, B), times exp(logit_scale)."""
    return network.contrast_scale * (texts.global_QE @ images.global_BE.T)


def training_terms(
    network: Cayn,
    texts: EncodedTexts,
    images: EncodedImages,
    words: Sequence[str],
    words_of_images: Sequence[AbstractSet[str]],
    settings: LossSettings,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return the terms "itc" and "itm" (weighted; only "itc" for a model without a head), whose sum is the loss.

    Sample b is (image b, words[b]), a word that occurs in it; `words_of_images[b]` are all words that do, spelt alike.
    Each matched pair is shown to the head with one negative image for its text and one negative text for its image.
    """
    logits_BB = contrast_logits(network, texts, images)
    is_true_BB = true_matches(words, words_of_images).to(logits_BB.device)
    terms = {"itc": itc_loss(logits_BB, is_true_BB if settings.itc_nlc else None)}
    if network.head is None:
        return terms
    own = torch.eye(len(words), dtype=torch.bool, device=logits_BB.device)
    forbidden_BB = is_true_BB | own if settings.itm_nlc else own
    negatives = sample_negatives(logits_BB, forbidden_BB, settings.sampling, generator)
    every = torch.arange(len(words))
    texts_P = torch.cat([every, negatives.texts_P]).to(logits_BB.device)
    images_P = torch.cat([every, negatives.images_P]).to(logits_BB.device)
    logits_P2 = network.match(texts.take(texts_P), images.take(images_P))
    is_match_P = torch.arange(len(texts_P), device=logits_BB.device) < len(words)
    return terms | {"itm": settings.itm_weight * itm_loss(logits_P2, is_match_P)}
