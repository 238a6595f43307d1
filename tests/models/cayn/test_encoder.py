from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.cayn.toy import random_image, toy_network

from glyphseek.errors import QueryError
from glyphseek.models.cayn.encoder import MOST_PIXELS, CaynEncoder, group_by_shape, make_card, whole_cells
from glyphseek.models.cayn.settings import TINY_DENSE, CaynSettings
from glyphseek.queries import Term, TermKind
from glyphseek.types import Calibration, FeatureKind, FloatArray, Fusion, ImageFeatures

CALIBRATION = Calibration(slope=10, offset=-5, threshold=0.5)


def make_encoder(settings: CaynSettings = TINY_DENSE, *, understands: bool = False) -> CaynEncoder:
    network = toy_network(settings)
    network.backbone.understands_meaning = understands
    return CaynEncoder(network, make_card(network, "test", "0" * 32, calibration=CALIBRATION))


def parts_of(features: ImageFeatures) -> tuple[FloatArray, FloatArray, FloatArray]:
    assert features.global_vector_D is not None
    assert features.token_map is not None
    assert features.instances is None
    return features.global_vector_D, features.token_map.tokens_HWE, features.token_map.text_likelihood_HW


def test_an_image_has_a_unit_vector_and_a_map_of_unit_tokens() -> None:
    encoder = make_encoder()

    vector, tokens, likelihood = parts_of(encoder.encode_images([random_image(64, 96)])[0])

    assert vector.shape == (encoder.card.vector_width,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert tokens.shape == (4, 6, encoder.card.vector_width)
    assert np.linalg.norm(tokens, axis=2) == pytest.approx(1, abs=1e-5)
    assert likelihood.shape == (4, 6)
    assert ((likelihood >= 0) & (likelihood <= 1)).all()
    assert {array.dtype for array in (vector, tokens, likelihood)} == {np.dtype(np.float32)}


def test_the_map_covers_the_image_and_not_its_padding() -> None:
    _, tokens, _ = parts_of(make_encoder().encode_images([random_image(33, 50)])[0])

    assert tokens.shape[:2] == (3, 4)  # cells of 16 px, on a canvas of 64 x 64


def test_an_image_has_the_same_features_alone_and_in_a_batch() -> None:
    encoder = make_encoder()
    images = [random_image(*shape, seed) for seed, shape in enumerate([(64, 96), (33, 50), (60, 90), (40, 60)])]

    together = encoder.encode_images(images)

    for image, features in zip(images, together, strict=True):
        alone = encoder.encode_images([image])[0]
        for one, other in zip(parts_of(alone), parts_of(features), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-4)


def test_images_encoded_side_by_side_have_exactly_the_features_of_each_alone() -> None:
    images = [random_image(*shape, seed) for seed, shape in enumerate([(64, 96), (33, 50), (60, 90), (40, 60)] * 3)]
    before = torch.get_num_threads()
    try:
        found: list[list[ImageFeatures]] = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            encoder = make_encoder()
            found += [[encoder.encode_images([image])[0] for image in images], encoder.encode_images(images)]
    finally:
        torch.set_num_threads(before)

    for others in found:
        for one, other in zip(found[0], others, strict=True):
            for array, same in zip(parts_of(one), parts_of(other), strict=True):
                assert np.array_equal(array, same)


def test_no_images_have_no_features() -> None:
    assert make_encoder().encode_images([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 256), (256, 5), (33, 31)])
def test_images_of_any_shape_are_encoded(shape: tuple[int, int]) -> None:
    encoder = make_encoder()

    for array in parts_of(encoder.encode_images([encoder.prepare(random_image(*shape))])[0]):
        assert array.size
        assert np.isfinite(array).all()


def test_preparing_shrinks_to_the_longer_side_and_never_grows() -> None:
    encoder = make_encoder()

    assert encoder.prepare(random_image(512, 1024)).shape == (128, 256, 3)
    assert encoder.prepare(random_image(20, 30)).shape == (20, 30, 3)


@pytest.mark.parametrize(("side", "cut"), [(127.9, 128), (128, 128), (143, 128), (144, 144), (1000.5, 992), (0.3, 1)])
def test_long_sides_are_cut_to_whole_cells(side: float, cut: int) -> None:
    assert whole_cells(side, 16) == cut


def test_images_of_one_shape_are_encoded_together_up_to_a_bound() -> None:
    small, large = random_image(30, 30), random_image(1500, 1500)

    assert group_by_shape([small, large, small, large], 32) == [[0, 2], [1], [3]]
    assert MOST_PIXELS < 2 * 1504**2


def test_a_word_has_one_unit_vector_and_its_text_tokens_whatever_is_asked_beside_it() -> None:
    encoder = make_encoder()

    alone = encoder.encode_terms([Term(text="open")])[0]
    beside = encoder.encode_terms([Term(text="restaurant"), Term(text="open")])[1]

    assert alone.tokens_TE is not None
    assert beside.tokens_TE is not None
    assert alone.vectors_VD.shape == (1, encoder.card.vector_width)
    assert np.linalg.norm(alone.vectors_VD) == pytest.approx(1, abs=1e-5)
    assert alone.tokens_TE.shape == (4, encoder.card.vector_width)
    np.testing.assert_allclose(beside.vectors_VD, alone.vectors_VD, atol=1e-6)
    np.testing.assert_allclose(beside.tokens_TE, alone.tokens_TE, atol=1e-6)


def test_a_tolerated_misspelling_is_asked_for_as_it_is_typed() -> None:
    encoder = make_encoder()

    tolerant = encoder.encode_terms([Term(text="cofee", kind=TermKind.TOLERANT, edits=1)])[0]

    np.testing.assert_array_equal(tolerant.vectors_VD, encoder.encode_terms([Term(text="cofee")])[0].vectors_VD)


def test_meaning_is_answered_by_a_backbone_that_understands_it() -> None:
    term = Term(text="a big shop", kind=TermKind.SEMANTIC)

    assert make_encoder(understands=True).encode_terms([term])[0].vectors_VD.shape[0] == 1
    with pytest.raises(QueryError, match="no understanding of meaning"):
        make_encoder().encode_terms([term])


@pytest.mark.parametrize(
    ("term", "told"),
    [
        (Term(text="re16", kind=TermKind.PREFIX), "compares whole words"),
        (Term(text="x" * 17), "17 characters; this model reads 1 to 16"),
        (Term(text=""), "0 characters"),
        (Term(text="кофе"), "cannot read"),
    ],
)
def test_terms_that_cannot_be_read_are_refused_with_the_reason(term: Term, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        make_encoder().encode_terms([term])


def test_the_card_says_how_the_model_is_asked() -> None:
    card = make_encoder(replace(TINY_DENSE, fusion=Fusion.MATCH, several_words="whole")).card

    assert card.features == {FeatureKind.GLOBAL, FeatureKind.TOKENS}
    assert card.method == "cayn"
    assert card.fusion is Fusion.MATCH
    assert card.asks_whole_text
    assert card.longer_side == TINY_DENSE.longer_side
    assert card.calibration == CALIBRATION
