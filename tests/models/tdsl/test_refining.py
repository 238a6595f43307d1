from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.outlines import bounds, outlines_of
from glyphseek.models.tdsl.reading import find_words, refine, size_of
from glyphseek.models.tdsl.refining import (
    BOX_WEIGHT,
    CLUTTER_BELOW,
    CORRECTED_FROM,
    OUTLINE_WEIGHT,
    BoxRefiner,
    SecondLook,
    bent,
    corrected,
    refining_terms,
    share_inside,
    with_context,
)
from glyphseek.models.tdsl.settings import SMALL, TINY_PYRAMID

LOOKS_TWICE = replace(
    SMALL,
    backbone_channels=(8, 16, 16, 16),
    pyramid_width=16,
    stem_channels=(8, 8),
    sequence_width=16,
    lstm_width=16,
    least_reading=None,
    refiner_channels=(4, 4),
    refined_threshold=0.0,
    refiner_rows=16,
    refiner_columns=32,
)
NO_BOXES = torch.zeros(0, 4)
UNKNOWN = torch.full((1, 6, 2), torch.nan)


def iou(first: list[float], second: list[float]) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    tall = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, wide) * max(0.0, tall)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (sum(areas) - shared)


def giou_loss(first: list[float], second: list[float]) -> float:
    whole = (max(first[2], second[2]) - min(first[0], second[0])) * (
        max(first[3], second[3]) - min(first[1], second[1])
    )
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    overlap = iou(first, second)
    union = sum(areas) / (1 + overlap)
    return 1 - (overlap - (whole - union) / whole)


def cross_entropy(logit: float, goal: float) -> float:
    probability = float(torch.tensor(logit).sigmoid())
    return -goal * log(probability) - (1 - goal) * log(1 - probability)


def random_boxes(count: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    corner = 60 * torch.rand(count, 2)
    return torch.cat([corner, corner + 8 + 40 * torch.rand(count, 2)], 1)


def answering(moves: list[float], fit: float, bends: Tensor | None = None) -> BoxRefiner:
    """Return a refiner that answers the same to every box."""
    refiner = BoxRefiner(LOOKS_TWICE).eval()
    assert refiner.bends is not None
    with torch.no_grad():
        refiner.answers.bias.copy_(torch.tensor([*moves, fit]))
        if bends is not None:
            refiner.bends[2].get_parameter("bias").copy_(bends.flatten())
    return refiner


def a_look(moves_N4: Tensor, fits_N: Tensor, bends_N62: Tensor | None = None) -> SecondLook:
    return SecondLook(moves_N4=moves_N4, fits_N=fits_N, bends_N62=bends_N62)


def test_context_and_corrections_are_shares_of_the_boxs_own_sides() -> None:
    box = torch.tensor([[10.0, 20.0, 50.0, 40.0]])
    assert with_context(box).tolist() == [[0.0, 15.0, 60.0, 45.0]]
    assert corrected(box, torch.tensor([[-0.1, 0.2, 0.5, 0.0]])).tolist() == [[6.0, 24.0, 70.0, 40.0]]


def test_what_was_not_trained_leaves_boxes_as_they_are() -> None:
    refiner = BoxRefiner(LOOKS_TWICE).eval()
    boxes = random_boxes(5, 0)
    look = refiner(refiner.cut(torch.randn(3, 100, 120), boxes))
    assert look.bends_N62 is not None
    assert torch.equal(corrected(boxes, look.moves_N4), boxes)
    assert torch.equal(bent(boxes, look.bends_N62), outlines_of(boxes))
    assert look.fits_N.tolist() == [0.0] * 5


def test_outlines_are_told_where_the_preset_has_them() -> None:
    boxes = random_boxes(3, 0)
    refiner = BoxRefiner(replace(LOOKS_TWICE, tells_outlines=False)).eval()
    assert refiner(refiner.cut(torch.randn(3, 100, 120), boxes)).bends_N62 is None


def test_losses_are_those_of_a_plain_loop() -> None:
    boxes, words = random_boxes(40, 1), random_boxes(6, 2)
    boxes = torch.cat([boxes, words + torch.randn(6, 4), words + 6 * torch.randn(6, 4)])
    moves, fits = 0.05 * torch.randn(len(boxes), 4), torch.randn(len(boxes))
    ignored = torch.tensor([[0.0, 0.0, 50.0, 50.0]])

    terms = refining_terms(boxes, a_look(moves, fits), words, UNKNOWN.expand(6, 6, 2), ignored)

    corrections: list[float] = []
    entropies: list[float] = []
    skipped = 0
    for box, move, fit in zip(boxes.tolist(), moves.tolist(), fits.tolist(), strict=True):
        sides = [box[2] - box[0], box[3] - box[1]] * 2
        moved = [value + share * side for value, share, side in zip(box, move, sides, strict=True)]
        overlaps = [iou(box, word) for word in words.tolist()]
        closest = words.tolist()[int(np.argmax(overlaps))]
        if iou(box, closest) >= CORRECTED_FROM:
            corrections.append(giou_loss(moved, closest))
            entropies.append(cross_entropy(fit, iou(moved, closest)))
        elif iou(box, closest) < CLUTTER_BELOW:
            inside = max(0.0, min(box[2], 50) - box[0]) * max(0.0, min(box[3], 50) - box[1])
            if inside / (sides[0] * sides[1]) < 0.5:
                entropies.append(cross_entropy(fit, 0.0))
            else:
                skipped += 1
    assert len(corrections) >= 6
    assert skipped >= 2
    assert terms["correction"].item() == pytest.approx(BOX_WEIGHT * sum(corrections) / len(corrections), rel=1e-4)
    assert terms["fit"].item() == pytest.approx(sum(entropies) / len(entropies), rel=1e-4)


def test_without_words_every_box_is_clutter_and_without_boxes_there_is_nothing_to_learn() -> None:
    fits = torch.tensor([0.5, -1.0])
    look = a_look(torch.zeros(2, 4), fits, torch.ones(2, 6, 2))
    terms = refining_terms(random_boxes(2, 0), look, NO_BOXES, UNKNOWN[:0], NO_BOXES)
    assert terms["outline"].item() == 0
    assert terms["correction"].item() == 0
    assert terms["fit"].item() == pytest.approx((cross_entropy(0.5, 0) + cross_entropy(-1.0, 0)) / 2, rel=1e-5)
    nothing = a_look(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 6, 2))
    empty = refining_terms(NO_BOXES, nothing, random_boxes(2, 0), UNKNOWN.expand(2, 6, 2), NO_BOXES)
    assert {name: value.item() for name, value in empty.items()} == {"correction": 0, "fit": 0, "outline": 0}


def test_outlines_count_in_heights_of_the_text_and_only_where_they_are_known() -> None:
    words = torch.tensor([[10.0, 10.0, 50.0, 30.0], [60.0, 10.0, 90.0, 20.0]])
    boxes = torch.cat([words, torch.tensor([[200.0, 200.0, 240.0, 220.0]])])
    bends = torch.zeros(3, 6, 2)
    bends[0, :, 0], bends[1] = 0.1, 5.0
    wanted = torch.cat([outlines_of(words[:1]), UNKNOWN])
    terms = refining_terms(boxes, a_look(torch.zeros(3, 4), torch.zeros(3), bends), words, wanted, NO_BOXES)
    # All six points 4 px too far right, none too low: 2 px in the mean, of a text 20 px high.
    assert terms["outline"].item() == pytest.approx(OUTLINE_WEIGHT * 2 / 20)
    unknown = refining_terms(
        boxes, a_look(torch.zeros(3, 4), torch.zeros(3), bends), words, UNKNOWN.expand(2, 6, 2), NO_BOXES
    )
    assert unknown["outline"].item() == 0


def test_shares_inside_regions() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    regions = torch.tensor([[5.0, 0.0, 50.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    assert share_inside(boxes, regions).tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_boxes_that_become_one_are_stored_once_and_scores_count_how_well_they_fit() -> None:
    source = torch.randn(3, 100, 200)
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.12, 0.1, 0.32, 0.3], [0.6, 0.6, 0.8, 0.9]])
    scores = torch.tensor([0.4, 0.9, 0.1])

    settings = replace(LOOKS_TWICE, refined_nms_iou=0.5)
    found, kept, outlines = refine(answering([0.0] * 4, 0.0), source, boxes, scores, settings)

    torch.testing.assert_close(found, boxes[[1, 2]])
    torch.testing.assert_close(outlines, outlines_of(found * size_of(source)), atol=1e-4, rtol=0)
    assert kept.tolist() == pytest.approx([0.9 * 0.5**0.5, 0.1 * 0.5**0.5])


@pytest.mark.parametrize(("least", "kept"), [(0.85, 3), (0.86, 0)])  # sqrt(sigmoid(1)) = 0.855
def test_boxes_that_fit_no_word_are_left_out(least: float, kept: int) -> None:
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.5, 0.1, 0.7, 0.3], [0.6, 0.6, 0.8, 0.9]])
    settings = replace(LOOKS_TWICE, refined_threshold=least)
    found, scores, outlines = refine(answering([0.0] * 4, 1.0), torch.randn(3, 64, 64), boxes, torch.ones(3), settings)
    assert len(found) == len(scores) == len(outlines) == kept


# The middle points stand a fifth of the height above the ends.
ARC = torch.tensor([[0.0, 0.2], [0.0, 0.0], [0.0, 0.2], [0.0, 0.0], [0.0, -0.2], [0.0, 0.0]])


def test_outlines_are_of_the_boxes_that_were_found_and_leave_the_corrected_ones_alone() -> None:
    boxes, source = torch.tensor([[0.1, 0.1, 0.6, 0.3]]), torch.randn(3, 100, 200)
    found, _, outlines = refine(answering([0.0, 0.0, 0.1, 0.0], 0.0, ARC), source, boxes, torch.ones(1), LOOKS_TWICE)
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.1, 0.65, 0.3]]))
    torch.testing.assert_close(outlines, bent(boxes * size_of(source), ARC[None]))


def test_words_are_read_along_their_outlines(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Tdsl(LOOKS_TWICE).eval()
    bias = network.detector.heads.bias
    assert bias is not None
    assert network.refiner is not None
    assert network.refiner.bends is not None
    pixels = 255 * torch.rand(3, 96, 160)
    read: list[Tensor] = []
    pool = Tdsl.pool_outlined

    def keep(self: Tdsl, normalized_3HW: Tensor, outlines_N62: Tensor) -> Tensor:
        read.append(outlines_N62)
        return pool(self, normalized_3HW, outlines_N62)

    monkeypatch.setattr(Tdsl, "pool_outlined", keep)
    with torch.inference_mode():
        bias[0] = 3.0
        level = find_words(network, pixels)
        network.refiner.bends[2].get_parameter("bias").copy_(ARC.flatten())
        arcs = find_words(network, pixels)
    torch.testing.assert_close(level.boxes_N4, arcs.boxes_N4)
    assert not torch.allclose(level.vectors_ND, arcs.vectors_ND)
    sides = (bounds(read[0])[:, 2:] - bounds(read[0])[:, :2])[:, None]
    torch.testing.assert_close(read[1], read[0] + ARC * sides)


def test_corrected_boxes_stay_inside_the_photo() -> None:
    boxes = torch.tensor([[0.0, 0.1, 0.5, 0.5], [0.6, 0.6, 1.0, 1.0]])
    found, *_ = refine(answering([-0.3, 0.0, 0.3, 0.3], 0.0), torch.randn(3, 64, 96), boxes, torch.ones(2), LOOKS_TWICE)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.1, 0.65, 0.62], [0.48, 0.6, 1.0, 1.0]]))


def test_a_preset_that_looks_twice_stores_corrected_boxes() -> None:
    torch.manual_seed(0)
    once, twice = Tdsl(replace(LOOKS_TWICE, refiner_channels=(), tells_outlines=False)).eval(), Tdsl(LOOKS_TWICE).eval()
    for network in (once, twice):
        bias = network.detector.heads.bias
        assert bias is not None
        with torch.no_grad():
            bias[0] = 3.0
    twice.load_state_dict(once.state_dict(), strict=False)
    assert twice.refiner is not None
    pixels = 255 * torch.rand(3, 96, 160)
    with torch.inference_mode():
        found, same = find_words(once, pixels), find_words(twice, pixels)
        twice.refiner.answers.bias[2] = 0.25
        wider = find_words(twice, pixels)
    assert 0 < len(same.boxes_N4) <= len(found.boxes_N4)
    assert all((found.boxes_N4 - box).abs().sum(1).min() < 1e-5 for box in same.boxes_N4)
    assert (wider.boxes_N4[:, 2] - wider.boxes_N4[:, 0]).mean() > (same.boxes_N4[:, 2] - same.boxes_N4[:, 0]).mean()
    assert len(wider.boxes_N4) == len(wider.scores_N) == len(wider.vectors_ND) == len(wider.letters_NSA)


def test_more_boxes_may_be_looked_at_again_than_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    looked_at: list[int] = []

    def count(refiner: BoxRefiner, source_3HW: Tensor, boxes_N4: Tensor) -> Tensor:
        looked_at.append(len(boxes_N4))
        return cut(refiner, source_3HW, boxes_N4)

    cut = BoxRefiner.cut
    monkeypatch.setattr(BoxRefiner, "cut", count)
    stored: list[int] = []
    for most in (0, 4, 9):
        torch.manual_seed(0)
        network = Tdsl(replace(LOOKS_TWICE, max_instances=4, max_candidates=most)).eval()
        bias = network.detector.heads.bias
        assert bias is not None
        with torch.no_grad():
            bias[0] = 3.0
        with torch.inference_mode():
            stored.append(len(find_words(network, torch.full((3, 96, 160), 128.0)).boxes_N4))
    assert looked_at == [4, 4, 9]
    assert 0 < min(stored) <= max(stored) <= 4


def test_fractions_become_pixels() -> None:
    assert size_of(torch.zeros(3, 20, 50)).tolist() == [50.0, 20.0, 50.0, 20.0]


def test_the_papers_preset_has_no_second_look() -> None:
    assert Tdsl(TINY_PYRAMID).refiner is None
