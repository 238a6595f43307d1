from __future__ import annotations

import pytest
import torch
from models.cayn.toy import random_pairs, toy_network

from glyphseek.models.cayn.losses import itc_loss, itm_loss
from glyphseek.models.cayn.negatives import sample_negatives
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.objective import contrast_logits, training_terms
from glyphseek.models.cayn.settings import LossSettings

WORDS = ["open", "exit", "cafe"]
WORDS_OF_IMAGES = [{"open"}, {"exit", "open"}, {"cafe", "open"}]


def terms_of(network: Cayn, settings: LossSettings) -> dict[str, float]:
    texts, images = random_pairs(network)
    generator = torch.Generator().manual_seed(3)
    terms = training_terms(network, texts, images, WORDS, WORDS_OF_IMAGES, settings, generator)
    return {name: float(value.detach()) for name, value in terms.items()}


def test_contrast_logits_are_scaled_cosines_of_texts_by_images() -> None:
    network = toy_network()
    texts, images = random_pairs(network)

    found = contrast_logits(network, texts, images)

    scale = float(network.backbone.logit_scale.exp())
    for q in range(3):
        for b in range(3):
            cosine = sum(x * y for x, y in zip(texts.global_QE[q].tolist(), images.global_BE[b].tolist(), strict=True))
            assert float(found[q, b]) == pytest.approx(scale * cosine, abs=1e-4)


@pytest.mark.parametrize("itm_nlc", [True, False])
def test_each_pair_is_judged_with_its_two_negatives(itm_nlc: bool) -> None:
    network = toy_network()
    texts, images = random_pairs(network)
    logits = contrast_logits(network, texts, images)
    forbidden = torch.eye(3, dtype=torch.bool)
    if itm_nlc:
        forbidden[0] = True  # `open` is on all three images
    drawn = sample_negatives(logits, forbidden, "hem", torch.Generator().manual_seed(3))
    pairs = [(b, b) for b in range(3)]
    pairs += list(zip(drawn.texts_P.tolist(), drawn.images_P.tolist(), strict=True))
    one = [network.match(texts.take(torch.tensor([q])), images.take(torch.tensor([b])))[0] for q, b in pairs]
    is_match = torch.tensor([True] * 3 + [False] * (len(pairs) - 3))

    found = terms_of(network, LossSettings(itm_nlc=itm_nlc))

    assert len(pairs) == (3 + 2 + 3 if itm_nlc else 9)
    assert found["itm"] == pytest.approx(float(itm_loss(torch.stack(one), is_match).detach()), rel=1e-4)
    assert found["itc"] == pytest.approx(float(itc_loss(logits)), rel=1e-5)


def test_the_matching_term_is_weighted() -> None:
    network = toy_network()

    once, thrice = terms_of(network, LossSettings()), terms_of(network, LossSettings(itm_weight=3.0))

    assert thrice["itm"] == pytest.approx(3 * once["itm"])
    assert thrice["itc"] == once["itc"]


def test_calibrating_the_contrast_makes_it_easier() -> None:
    network = toy_network()

    plain, calibrated = terms_of(network, LossSettings()), terms_of(network, LossSettings(itc_nlc=True))

    assert calibrated["itc"] < plain["itc"]
