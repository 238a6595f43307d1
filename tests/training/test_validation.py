from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training.toy import toy_network

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import SMALL
from glyphseek.training.annotated import AnnotatedWord, annotate
from glyphseek.training.scenes import TrainingScene
from glyphseek.training.validation import BoxValidation, DetectionValidation, WordValidation, count_matches, share_equal

SIDE = 96


def scene(*words: tuple[str | None, tuple[float, float, float, float]]) -> TrainingScene:
    return TrainingScene(
        pixels=np.zeros((SIDE, SIDE, 3), np.uint8),
        words=tuple(AnnotatedWord(word=word, box_4=np.array(box, np.float32)) for word, box in words),
    )


def blind_network() -> Tdsl:
    """Return a network whose detector finds nothing."""
    network = toy_network()
    with torch.no_grad():
        network.detector.heads.weight.zero_()
    return network.eval()


def seeing_network() -> Tdsl:
    """Return a network that finds the same box, six cells wide and high, around every location."""
    network = blind_network()
    bias = network.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 3.0
    return network


def test_equal_places_are_counted() -> None:
    assert share_equal(["a", "b", "c", "d"], ["a", "x", "c", "y"]) == 0.5


def test_a_detector_that_finds_nothing_has_no_recall_and_no_precision() -> None:
    validate = DetectionValidation([scene(("open", (10, 10, 60, 30)))])

    assert validate(blind_network()) == {"detector_recall": 0, "detector_precision": 0, "detector_f": 0}


def test_without_scenes_the_figures_are_zero() -> None:
    assert DetectionValidation([])(blind_network())["detector_f"] == 0


def test_a_found_word_counts_once_and_other_detections_against_precision() -> None:
    # The box of the stride-8 location at (44, 44): three cells to each side.
    right, found, wanted = count_matches(seeing_network(), scene(("open", (20, 20, 68, 68))))

    assert (right, wanted) == (1, 1)
    assert found > 1


def test_detections_on_ignored_regions_are_forgiven() -> None:
    everywhere = [(None, (float(x), float(y), x + 48.0, y + 48.0)) for x in range(0, 96, 24) for y in range(0, 96, 24)]

    _, plain, _ = count_matches(seeing_network(), scene())
    _, forgiven, wanted = count_matches(seeing_network(), scene(*everywhere))

    assert wanted == 0
    assert forgiven < plain


def test_boxes_are_measured_as_found_and_as_corrected() -> None:
    # The box of the stride-8 location at (44, 44) is (20, 20, 68, 68); its right side is moved to 80.
    seeing = seeing_network()
    reads_the_image = replace(seeing.settings, roi_source="image", roi_columns=60, stem_channels=(8, 8))
    network = Tdsl(replace(reads_the_image, refiner_channels=(4,), roi_sampling="halved", tells_outlines=True))
    network.pyramid.load_state_dict(seeing.pyramid.state_dict())
    network.detector.load_state_dict(seeing.detector.state_dict())
    assert network.refiner is not None
    assert network.refiner.bends is not None
    with torch.no_grad():
        network.refiner.answers.bias[2] = 0.25
        network.refiner.bends[2].get_parameter("bias")[4::6] = 0.25  # x of what is last on both edges
    word = annotate("open", np.array([[20, 20], [80, 20], [80, 68], [20, 68]], np.float32))
    validate = BoxValidation([TrainingScene(pixels=scene().pixels, words=(word,)), scene()])

    figures = validate(network.eval())

    assert figures["iou_before"] == pytest.approx(48 / 60)
    assert figures["iou_after"] == pytest.approx(1.0, abs=1e-4)
    assert figures["tight_before"] == figures["tight_after"] == 1
    # Of twelve numbers two are 12 px off before, and two, x of both middles, 6; after, the middles. Text is 48 high.
    assert figures["outline_off_before"] == pytest.approx((2 * 12 + 2 * 6) / 12 / 48, abs=1e-4)
    assert figures["outline_off_after"] == pytest.approx(2 * 6 / 12 / 48, abs=1e-4)
    assert BoxValidation([scene()])(network) == {}


@pytest.mark.parametrize("unseen", [False, True])
def test_reading_is_measured_for_each_group_and_for_unseen_words(unseen: bool) -> None:
    words = ["street", "open"] if unseen else ["coffee", "open"]
    small = replace(SMALL, backbone_channels=(8, 8, 8, 8), pyramid_width=8, stem_channels=(8, 8), sequence_width=8)
    crops = [(np.full((40, 128, 3), 50 * place, np.uint8), word) for place, word in enumerate(words)]

    figures = WordValidation({"rendered": crops, "real": []})(Tdsl(small).eval())

    names = {"rendered_top1", "rendered_spelt"} | ({"rendered_unseen_top1"} if unseen else set())
    assert figures.keys() == names
    assert all(0 <= value <= 1 for value in figures.values())
