"""Scores of packed maps against the network's own, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from models.cayn.toy import random_image, toy_network

from glyphseek.errors import InputError
from glyphseek.models.cayn.encoder import CaynEncoder, make_card
from glyphseek.models.cayn.head import match_probability
from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.pfca import pooled_cosine
from glyphseek.models.cayn.settings import TINY_DENSE, CaynSettings, Directions, HeadKind, TextQuery
from glyphseek.ports import TokenScorer
from glyphseek.queries import Term
from glyphseek.tokens import CodecName, PackedTokens, open_tokens, pack
from glyphseek.types import Calibration, FloatArray, RgbImage, TermFeatures

FINGERPRINT = "0" * 32
CALIBRATION = Calibration(slope=4.0, offset=-1.0, threshold=0.5)
IMAGES = [random_image(64, 96, 1), random_image(33, 50, 2), random_image(64, 64, 3)]
WORDS = ["open", "a", "restaurant"]


def make_encoder(network: Cayn) -> CaynEncoder:
    return CaynEncoder(network, make_card(network, "test", FINGERPRINT, calibration=CALIBRATION))


def pack_images(
    encoder: CaynEncoder, images: Sequence[RgbImage], codec: CodecName = CodecName.FP16
) -> list[PackedTokens]:
    blobs = [pack(found, codec=codec, fingerprint=FINGERPRINT) for found in encoder.encode_images(images)]
    return [open_tokens(blob, fingerprint=FINGERPRINT) for blob in blobs]


def ask(encoder: CaynEncoder, words: Sequence[str]) -> list[TermFeatures]:
    return encoder.encode_terms([Term(text=word) for word in words])


def judge_one(network: Cayn, word: str, image: RgbImage) -> tuple[float, FloatArray]:
    """Return probability and attention map of one pair, by the network that training uses."""
    with torch.no_grad():
        texts = network.encode_texts([word])
        tokens, is_padding = network.backbone.image_tokens(*letterbox([image], multiple=32))
        images = network.encode_tokens(tokens, is_padding)
        found = network.look_at_images(texts, images)
        if network.head is None:
            logit = CALIBRATION.slope * float(pooled_cosine(texts.global_QE, found)[0]) + CALIBRATION.offset
            probability = 1 / (1 + math.exp(-logit))
        else:
            probability = float(match_probability(network.match(texts, images))[0])
        kept = ~is_padding[0]
        rows, columns = int(kept.any(1).sum()), int(kept.any(0).sum())
        attention = found.attention_PN[0].view(is_padding.shape[1:])[:rows, :columns]
        return probability, attention.numpy()


def changed(directions: Directions, text_query: TextQuery, head: HeadKind, normalised: bool) -> CaynSettings:
    return replace(
        TINY_DENSE,
        directions=directions,
        text_query=text_query,
        head=head,
        normalised_tokens=normalised,
        attention_scale=6.0,
    )


@pytest.mark.parametrize(
    "settings",
    [
        changed(*choice)
        for choice in product(get_args(Directions), get_args(TextQuery), get_args(HeadKind), [True, False])
    ],
    ids=lambda s: f"{s.directions}-{s.text_query}-{s.head}-{s.normalised_tokens}",
)
def test_packed_maps_score_as_the_network_does(settings: CaynSettings) -> None:
    network = toy_network(settings)
    encoder = make_encoder(network)
    maps = pack_images(encoder, IMAGES)

    found = encoder.score_maps(ask(encoder, WORDS), maps, with_attention=True)

    assert found.probabilities_TK.shape == (3, 3)
    assert found.attention is not None
    for t, word in enumerate(WORDS):
        for k, image in enumerate(IMAGES):
            probability, attention = judge_one(network, word, image)
            assert float(found.probabilities_TK[t, k]) == pytest.approx(probability, abs=5e-3)
            np.testing.assert_allclose(found.attention[t][k], attention, atol=5e-3)
            assert float(found.attention[t][k].sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("codec", [CodecName.FP16, CodecName.INT8])
def test_scores_of_packed_codes_are_near_those_of_the_tokens(codec: CodecName) -> None:
    network = toy_network()
    encoder = make_encoder(network)

    found = encoder.score_maps(ask(encoder, WORDS), pack_images(encoder, IMAGES, codec), with_attention=False)

    assert found.attention is None
    expected = [[judge_one(network, word, image)[0] for image in IMAGES] for word in WORDS]
    np.testing.assert_allclose(found.probabilities_TK, expected, atol=0.05)


def test_a_score_depends_on_its_own_term_and_map_only() -> None:
    encoder = make_encoder(toy_network())
    terms, maps = ask(encoder, WORDS), pack_images(encoder, IMAGES)

    together = encoder.score_maps(terms, maps, with_attention=False).probabilities_TK

    for t, term in enumerate(terms):
        for k, one in enumerate(maps):
            alone = encoder.score_maps([term], [one], with_attention=False).probabilities_TK
            assert float(alone[0, 0]) == pytest.approx(float(together[t, k]), abs=1e-5)


def test_tokens_that_were_not_stored_take_no_part() -> None:
    encoder = make_encoder(toy_network())
    features = encoder.encode_images(IMAGES[:1])[0]
    assert features.token_map is not None
    likelihood = np.zeros_like(features.token_map.text_likelihood_HW)
    likelihood[1:3, 2:4] = 1
    marked = replace(features, token_map=replace(features.token_map, text_likelihood_HW=likelihood))
    blob = pack(marked, codec=CodecName.FP16, fingerprint=FINGERPRINT, keep_likelihood=0.5)
    part = replace(marked.token_map, tokens_HWE=features.token_map.tokens_HWE[1:3, 2:4]) if marked.token_map else None
    assert part is not None
    cut = replace(features, token_map=replace(part, text_likelihood_HW=likelihood[1:3, 2:4]))
    whole = open_tokens(pack(cut, codec=CodecName.FP16, fingerprint=FINGERPRINT), fingerprint=FINGERPRINT)

    found, expected = (
        encoder.score_maps(ask(encoder, WORDS), [one], with_attention=True)
        for one in (open_tokens(blob, fingerprint=FINGERPRINT), whole)
    )

    np.testing.assert_allclose(found.probabilities_TK, expected.probabilities_TK, atol=1e-5)
    assert found.attention is not None
    assert expected.attention is not None
    np.testing.assert_allclose(found.attention[0][0][1:3, 2:4], expected.attention[0][0], atol=1e-5)
    assert float(found.attention[0][0].sum()) == pytest.approx(1, abs=1e-5)


def test_terms_and_maps_of_another_kind_of_model_are_refused() -> None:
    encoder = make_encoder(toy_network())
    terms, maps = ask(encoder, ["open"]), pack_images(encoder, IMAGES)

    with pytest.raises(InputError, match="without text tokens"):
        encoder.score_maps([replace(terms[0], tokens_TE=None)], maps, with_attention=False)
    with pytest.raises(InputError, match="1 of 3 token maps have no global vector"):
        encoder.score_maps(terms, [*maps[:2], replace(maps[2], global_vector_D=None)], with_attention=False)


def test_the_encoder_is_a_token_scorer() -> None:
    encoder = make_encoder(toy_network())

    assert isinstance(encoder, TokenScorer)
    assert encoder.codebook is None
