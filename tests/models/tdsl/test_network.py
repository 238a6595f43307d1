"""The paper's network whole, at a small input: shapes, and what it finds at several sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch

from glyphseek.models.tdsl.encoder import make_card
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.outlines import outlines_of
from glyphseek.models.tdsl.reading import find_words, sizes_to_see
from glyphseek.models.tdsl.settings import PAPER, PAPER_MULTI_SCALE, SMALL, TINY_PYRAMID
from glyphseek.types import Calibration, LetterScale


@pytest.fixture(scope="module")
def network() -> Tdsl:
    torch.manual_seed(0)
    network = Tdsl(PAPER).eval()
    bias = network.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 1.0  # an untrained detector finds something
    return network


def test_the_papers_pyramid_has_six_levels_of_which_the_detector_reads_five(network: Tdsl) -> None:
    with torch.inference_mode():
        levels = network.levels(torch.randn(1, 3, 96, 128))
        output = network.detect(levels)

    assert {stride: tuple(level.shape[1:]) for stride, level in levels.items()} == {
        4: (256, 24, 32),
        8: (256, 12, 16),
        16: (256, 6, 8),
        32: (256, 3, 4),
        64: (256, 2, 2),
        128: (256, 1, 1),
    }
    assert output.logits_BA.shape == (1, 12 * 16 + 6 * 8 + 3 * 4 + 2 * 2 + 1)
    assert output.distances_BA4.shape == (1, output.logits_BA.shape[1], 4)


def test_the_papers_words_are_fifteen_steps_of_128_in_pictures_and_typed(network: Tdsl) -> None:
    with torch.inference_mode():
        levels = network.levels(torch.randn(1, 3, 64, 96))
        rois = network.pool_words(torch.zeros(3, 64, 96), levels, 0, torch.tensor([[4.0, 8, 60, 30], [0, 0, 96, 64]]))
        embedding, columns = network.image_sequence(rois)
        typed = network.text_sequence(["coffee", "a"])
        spelt = network.ctc(columns)

    assert rois.shape == (2, 256, 4, 15)
    assert embedding.shape == columns.shape == (2, 15, 128)
    assert typed.shape == (2, 15, 128)
    assert spelt.shape == (2, 15, 37)


def test_the_papers_network_finds_words_with_unit_vectors_of_1920_numbers(network: Tdsl) -> None:
    with torch.inference_mode():
        found = find_words(network, 255 * torch.rand(3, 70, 110))

    assert 0 < len(found.boxes_N4) <= 100
    assert found.vectors_ND.shape == (len(found.boxes_N4), 1920)
    torch.testing.assert_close(found.vectors_ND.norm(dim=1), torch.ones(len(found.boxes_N4)))


@pytest.mark.parametrize(
    ("longer_side", "sizes"),
    [
        (2000, [1280, 960, 1600]),
        (1600, [1280, 960, 1600]),
        (1400, [1280, 960, 1400]),
        (1100, [1100, 960]),
        (800, [800]),
    ],
)
def test_the_paper_at_three_sizes_enlarges_no_image_and_sees_none_twice(longer_side: int, sizes: list[int]) -> None:
    assert sizes_to_see(PAPER_MULTI_SCALE, longer_side) == sizes


def test_photos_are_kept_at_the_largest_size_that_is_seen() -> None:
    calibration = Calibration(slope=1, offset=0, threshold=0.5)
    scale = LetterScale(slope=1, offset=0)
    sides = {
        one.name: make_card(
            one, one.name, "0" * 32, calibration=calibration, letters=scale if one.keeps_letters else None
        ).longer_side
        for one in (PAPER, PAPER_MULTI_SCALE, SMALL, TINY_PYRAMID)
    }

    assert sides == {"tdsl-r50": 1280, "tdsl-r50-ms": 1600, "tdsl-small": 1024, "tdsl-tiny": 256}


def test_the_three_sizes_take_the_weights_of_one() -> None:
    shapes = [{name: tensor.shape for name, tensor in Tdsl(s).state_dict().items()} for s in (PAPER, PAPER_MULTI_SCALE)]

    assert shapes[0] == shapes[1]


def test_words_of_the_pyramid_are_read_from_the_size_they_were_found_at() -> None:
    torch.manual_seed(1)
    one = Tdsl(
        replace(TINY_PYRAMID, detector_longer_side=128, longer_side=128, nms_iou=0.999, max_instances=4000)
    ).eval()
    bias = one.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 1.0
    both = Tdsl(replace(one.settings, extra_longer_sides=(256,))).eval()
    both.load_state_dict(one.state_dict())
    large = Tdsl(replace(one.settings, detector_longer_side=256, longer_side=256)).eval()
    large.load_state_dict(one.state_dict())
    pixels = 255 * torch.rand(3, 160, 256)

    with torch.inference_mode():
        small_words, large_words, words = (find_words(network, pixels) for network in (one, large, both))

    known = torch.cat([small_words.vectors_ND, large_words.vectors_ND])
    boxes = torch.cat([small_words.boxes_N4, large_words.boxes_N4])
    assert len(words.boxes_N4) > max(len(small_words.boxes_N4), len(large_words.boxes_N4))
    for box, vector in zip(words.boxes_N4, words.vectors_ND, strict=True):
        same = (boxes - box).abs().amax(1) < 1e-5
        assert float((known[same] @ vector).max()) > 1 - 1e-4


def test_a_larger_size_for_the_detector_leaves_the_size_that_words_are_read_at() -> None:
    torch.manual_seed(2)
    sizes = replace(SMALL, longer_side=128, detector_longer_side=128, extra_longer_sides=(), nms_iou=0.999)
    plain = Tdsl(replace(sizes, least_reading=None)).eval()
    bias = plain.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 1.0
    both = Tdsl(replace(plain.settings, extra_longer_sides=(192,), max_instances=4000)).eval()
    both.load_state_dict(plain.state_dict())
    pixels = 255 * torch.rand(3, 120, 192)

    with torch.inference_mode():
        alone, found = find_words(plain, pixels), find_words(both, pixels)

    assert len(found.boxes_N4) > len(alone.boxes_N4) > 0
    for box, vector in zip(alone.boxes_N4, alone.vectors_ND, strict=True):
        same = (found.boxes_N4 - box).abs().amax(1) < 1e-5
        assert not same.any() or float((found.vectors_ND[same] @ vector).max()) > 1 - 1e-4
    assert any(((found.boxes_N4 - box).abs().amax(1) < 1e-5).any() for box in alone.boxes_N4)


def test_words_are_cut_by_roi_align_or_from_the_halved_image() -> None:
    plain = replace(SMALL, tells_outlines=False)
    aligned, halved = Tdsl(replace(plain, roi_sampling="align")), Tdsl(replace(plain, roi_sampling="halved"))
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 20, 30), size=(200, 300), mode="bicubic")[0]
    boxes = torch.tensor([[20.0, 30.0, 80.0, 50.0], [10.0, 10.0, 290.0, 180.0]])

    first, second = (network.pool_words(image, {}, 0, boxes) for network in (aligned, halved))

    assert first.shape == second.shape == (2, 3, SMALL.roi_rows, SMALL.roi_columns)
    assert not torch.equal(first, second)
    assert (first - second).abs().mean() < 0.05 * first.std()


@pytest.mark.parametrize("sampling", ["align", "halved"])
def test_words_that_fill_their_boxes_are_cut_alike_as_boxes_and_as_outlines(
    sampling: Literal["align", "halved"],
) -> None:
    network = Tdsl(replace(SMALL, tells_outlines=False, roi_sampling=sampling))
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 20, 30), size=(200, 300), mode="bicubic")[0]
    boxes = torch.tensor([[20.0, 30.0, 80.0, 50.0], [10.0, 10.0, 290.0, 180.0]])
    torch.testing.assert_close(
        network.pool_outlined(image, outlines_of(boxes)), network.pool_words(image, {}, 0, boxes), atol=1e-4, rtol=0
    )
