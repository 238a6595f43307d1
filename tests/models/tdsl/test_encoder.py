from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

from glyphseek.errors import CheckpointDamaged, QueryError
from glyphseek.models.tdsl.encoder import (
    PREFIX_GROWTHS,
    TdslEncoder,
    fold_norms,
    make_card,
    prefix_vectors,
    to_letters,
)
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import ALPHABET, SMALL, TINY_PYRAMID, TdslSettings
from glyphseek.queries import Term, TermKind
from glyphseek.types import (
    LETTER_STEP,
    Calibration,
    FeatureKind,
    Instances,
    LetterScale,
    ModelCard,
    Precision,
    RgbImage,
)


def set_text_bias(network: Tdsl, value: float) -> None:
    bias = network.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = value


def make_encoder(settings: TdslSettings = TINY_PYRAMID, precision: Precision = "float32") -> TdslEncoder:
    torch.manual_seed(0)
    network = Tdsl(replace(settings, least_reading=None))  # an untrained reader is sure of nothing
    set_text_bias(network, -1.0)  # an untrained detector finds something
    card = ModelCard(
        name="test",
        method="tdsl",
        fingerprint="0" * 32,
        vector_width=settings.vector_width,
        features=frozenset({FeatureKind.INSTANCES}),
        alphabet=ALPHABET,
        max_query_characters=settings.max_query_characters,
        understands_meaning=False,
        calibration=Calibration(slope=10, offset=-5, threshold=0.5),
    )
    return TdslEncoder(network, card, precision=precision)


def random_image(height: int, width: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def instances_of(encoder: TdslEncoder, image: RgbImage) -> Instances:
    found = encoder.encode_images([image])[0].instances
    assert found is not None
    return found


def test_folded_norms_change_no_answer_and_leave_the_network_alone() -> None:
    torch.manual_seed(0)
    network = Tdsl(SMALL).eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        norm.running_mean = torch.randn_like(norm.bias)
        norm.running_var = torch.rand_like(norm.bias) + 0.5

    folded = fold_norms(network)

    assert norms
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        images, crops = torch.randn(1, 3, 64, 96), torch.randn(2, 3, 40, 128)
        for stride, level in network.levels(images).items():
            assert torch.allclose(folded.levels(images)[stride], level, rtol=1e-3, atol=1e-3)
        assert torch.allclose(folded.image_sequence(crops)[0], network.image_sequence(crops)[0], atol=1e-4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == len(norms)


def test_words_counted_in_bfloat16_are_nearly_those_of_float32() -> None:
    image = random_image(150, 210)
    exact, near = (
        instances_of(make_encoder(replace(SMALL, max_instances=4000, nms_iou=0.99), precision), image)
        for precision in ("float32", "bfloat16")
    )

    assert near.vectors_ND.dtype == np.float32
    assert 0.9 < len(near) / len(exact) < 1.1
    closest_N = (exact.vectors_ND @ near.vectors_ND.T).max(1)
    assert 0.999 < np.median(closest_N) < 1


def test_words_seen_at_a_second_size_are_merged_with_the_first() -> None:
    image = random_image(120, 160)
    seen_once = replace(SMALL, refiner_channels=(), tells_outlines=False, max_instances=4000)
    once, twice = (
        instances_of(make_encoder(replace(seen_once, nms_iou=iou, extra_longer_sides=sides)), image)
        for iou, sides in ((1.0, ()), (1.0, (96,)))
    )
    merged = instances_of(make_encoder(replace(seen_once, nms_iou=0.3, extra_longer_sides=(96,))), image)

    assert len(twice) > len(once) > 0
    seen = {tuple(np.round(box, 4)) for box in twice.boxes_N4}
    assert {tuple(np.round(box, 4)) for box in once.boxes_N4} <= seen
    assert list(twice.scores_N) == sorted(twice.scores_N, reverse=True)
    overlap = box_iou(torch.from_numpy(merged.boxes_N4), torch.from_numpy(merged.boxes_N4)).fill_diagonal_(0)
    assert float(overlap.max()) <= 0.3 + 1e-4


def test_a_size_that_is_no_smaller_than_the_image_is_not_looked_at_again() -> None:
    image = random_image(150, 210)
    plain, extra = (
        instances_of(make_encoder(replace(SMALL, extra_longer_sides=sides)), image) for sides in ((), (210, 640))
    )

    assert np.array_equal(plain.boxes_N4, extra.boxes_N4)
    assert np.array_equal(plain.vectors_ND, extra.vectors_ND)


@pytest.mark.parametrize("settings", [TINY_PYRAMID, SMALL], ids=lambda s: s.name)
def test_instances_have_unit_vectors_and_boxes_inside_the_image(settings: TdslSettings) -> None:
    found = instances_of(make_encoder(settings), random_image(150, 210))

    assert 0 < len(found) <= settings.max_instances
    assert np.linalg.norm(found.vectors_ND, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.boxes_N4.min() >= 0
    assert found.boxes_N4.max() <= 1
    assert (found.boxes_N4[:, 2:] > found.boxes_N4[:, :2]).all()
    assert list(found.scores_N) == sorted(found.scores_N, reverse=True)


def test_an_image_has_the_same_features_alone_and_in_a_batch() -> None:
    encoder = make_encoder()
    images = [random_image(64, 96, 1), random_image(128, 80, 2)]

    together = encoder.encode_images(images)

    for image, features in zip(images, together, strict=True):
        assert features.instances is not None
        assert np.array_equal(features.instances.vectors_ND, instances_of(encoder, image).vectors_ND)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_images_encoded_side_by_side_have_exactly_the_features_of_each_alone(precision: Precision) -> None:
    images = [random_image(200 + 8 * seed, 260, seed) for seed in range(6)]
    before = torch.get_num_threads()
    try:
        found: list[list[Instances]] = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            encoder = make_encoder(SMALL, precision)
            found += [[instances_of(encoder, image) for image in images]]
            found += [[one.instances for one in encoder.encode_images(images) if one.instances is not None]]
    finally:
        torch.set_num_threads(before)

    for others in found:
        for one, other in zip(found[0], others, strict=True):
            assert len(one) > 0
            assert np.array_equal(one.vectors_ND, other.vectors_ND)
            assert np.array_equal(one.boxes_N4, other.boxes_N4)
            assert np.array_equal(one.scores_N, other.scores_N)


def test_a_word_does_not_wait_behind_images() -> None:
    encoder = make_encoder()
    may_end, at_work = threading.Event(), threading.Event()

    def encode(_: int) -> bool:
        at_work.set()
        return may_end.wait(60)

    with ThreadPoolExecutor(1) as caller:
        busy = caller.submit(encoder._threads.map, encode, range(4))  # pyright: ignore[reportPrivateUsage]
        assert at_work.wait(10)
        assert len(encoder.encode_terms([Term(text="open")])) == 1
        assert not busy.done()
        may_end.set()
        assert all(busy.result())


def test_an_image_without_detections_has_no_instances() -> None:
    encoder = make_encoder()
    set_text_bias(encoder._network, -30.0)  # pyright: ignore[reportPrivateUsage]

    found = instances_of(encoder, random_image(64, 64))

    assert found.vectors_ND.shape == (0, TINY_PYRAMID.vector_width)
    assert found.boxes_N4.shape == (0, 4)


def test_preparing_shrinks_to_the_longer_side_and_never_grows() -> None:
    encoder = make_encoder()

    assert encoder.prepare(random_image(512, 1024)).shape == (128, 256, 3)
    assert encoder.prepare(random_image(20, 30)).shape == (20, 30, 3)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (33, 31)])
def test_images_of_any_shape_are_encoded(shape: tuple[int, int]) -> None:
    encoder = make_encoder()

    found = instances_of(encoder, encoder.prepare(random_image(*shape)))

    assert np.isfinite(found.vectors_ND).all()


def test_a_word_has_one_unit_vector_whatever_is_asked_beside_it() -> None:
    encoder = make_encoder()

    alone = encoder.encode_terms([Term(text="open")])[0].vectors_VD
    beside = encoder.encode_terms([Term(text="a"), Term(text="open")])[1].vectors_VD

    assert alone.shape == (1, TINY_PYRAMID.vector_width)
    assert np.linalg.norm(alone) == pytest.approx(1, abs=1e-5)
    assert beside == pytest.approx(alone, abs=1e-6)


def test_a_prefix_has_a_variant_for_every_length_it_may_grow_to() -> None:
    found = make_encoder().encode_terms([Term(text="re16", kind=TermKind.PREFIX)])[0].vectors_VD

    assert found.shape == (len(PREFIX_GROWTHS), TINY_PYRAMID.vector_width)


def test_a_prefix_compares_only_the_steps_that_it_covers() -> None:
    sequence = torch.randn(1, 15, 8)

    found = prefix_vectors(sequence, 2, [6])[0].view(15, 8)

    assert bool((found[5:] == 0).all())
    assert bool((found[:5] != 0).all())
    whole = torch.tanh(sequence[0]).flatten()
    cosine_of_the_part = 1.0
    share = float(torch.tanh(sequence[0, :5]).norm() / whole.norm())
    assert float(found.flatten() @ whole / whole.norm()) == pytest.approx(
        cosine_of_the_part * share / (5 / 15) ** 0.5, rel=1e-5
    )


@pytest.mark.parametrize(
    ("term", "told"),
    [
        (Term(text="a shop that sells bread", kind=TermKind.SEMANTIC), "no understanding of meaning"),
        (Term(text="x" * 41), "41 characters; this model reads 1 to 40"),
        (Term(text=""), "0 characters"),
        (Term(text="кофе"), "cannot read"),
    ],
)
def test_terms_that_cannot_be_read_are_refused_with_the_reason(term: Term, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        make_encoder().encode_terms([term])


def test_letters_are_kept_where_the_card_asks_for_them_and_say_what_ctc_reads() -> None:
    plain = make_encoder()
    torch.manual_seed(0)
    network = Tdsl(TINY_PYRAMID)
    set_text_bias(network, -1.0)
    scale = LetterScale(slope=0.04, offset=1.0)
    keeping = TdslEncoder(network, replace(plain.card, letters=scale))
    image = random_image(96, 160)
    without, found = instances_of(plain, image), instances_of(keeping, image)
    assert without.letters_NSA is None
    assert found.letters_NSA is not None
    assert len(found) > 0
    assert found.letters_NSA.shape == (len(found), TINY_PYRAMID.sequence_columns, len(ALPHABET) + 1)
    np.testing.assert_array_equal(found.vectors_ND, without.vectors_ND)
    probabilities = np.exp(-LETTER_STEP * found.letters_NSA.astype(np.float64)).sum(axis=2)
    np.testing.assert_allclose(probabilities, 1.0, atol=LETTER_STEP)


def test_an_image_without_words_has_no_letters_of_any() -> None:
    torch.manual_seed(0)
    network = Tdsl(TINY_PYRAMID)
    set_text_bias(network, -100.0)
    encoder = TdslEncoder(network, replace(make_encoder().card, letters=LetterScale(slope=0.04, offset=1.0)))
    found = instances_of(encoder, random_image(96, 160)).letters_NSA
    assert found is not None
    assert found.shape == (0, TINY_PYRAMID.sequence_columns, len(ALPHABET) + 1)


def test_letters_are_rounded_to_steps_and_end_at_the_last() -> None:
    logarithms = torch.tensor([[[0.0, -0.04, -1.0, -15.94, -40.0]]])
    assert to_letters(logarithms).tolist() == [[[0, 1, 16, 255, 255]]]


def test_a_scale_of_letters_without_letters_is_refused() -> None:
    calibration = Calibration(slope=10, offset=-5, threshold=0.5)
    with pytest.raises(CheckpointDamaged, match="has a scale of letters"):
        make_card(TINY_PYRAMID, "t", "0" * 32, calibration=calibration, letters=LetterScale(slope=1, offset=0))
