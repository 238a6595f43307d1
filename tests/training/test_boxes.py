from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training.toy import toy_network

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.training.annotated import annotate
from glyphseek.training.boxes import PROPOSALS, misplaced, propose
from glyphseek.training.compute import Compute
from glyphseek.training.detection import scene_terms
from glyphseek.training.loop import set_training
from glyphseek.training.scenes import SceneBatch, TrainingScene, batch_scenes

SIDE = 128
BOXES = ((10, 12, 60, 30), (40, 50, 120, 90))


def two_looks() -> Tdsl:
    """Return a small network whose detector finds a box around every location, with a refiner."""
    torch.manual_seed(0)
    image = replace(toy_network().settings, roi_source="image", roi_columns=60, stem_channels=(8, 8))
    looks = replace(
        image, refiner_channels=(8, 8), refiner_rows=16, refiner_columns=32, roi_sampling="halved", tells_outlines=True
    )
    network = Tdsl(looks)
    bias = network.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 1.0
    return network.eval()


def windows() -> SceneBatch:
    """Return windows whose words are bright on dark."""
    words = tuple(
        annotate("open", np.array([[left, top + 4], [right, top], [right, bottom - 4], [left, bottom]], np.float32))
        for left, top, right, bottom in BOXES
    )
    pixels = np.random.default_rng(0).integers(0, 60, (2, SIDE, SIDE, 3), dtype=np.uint8)
    for left, top, right, bottom in BOXES:
        pixels[:, top:bottom, left:right] += 180
    return batch_scenes([TrainingScene(pixels=one, words=words) for one in pixels])


def test_only_the_refiner_learns() -> None:
    network = two_looks()
    sum(scene_terms(network, windows(), np.random.default_rng(0), "boxes").values(), torch.zeros(())).backward()
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert learning == {"refiner"}


def test_words_that_stand_out_are_found_more_tightly_after_some_steps() -> None:
    network, batch = two_looks(), windows()
    assert network.refiner is not None
    optimizer = torch.optim.AdamW(network.refiner.parameters(), lr=3e-3)
    set_training(network, ("refiner",))
    first, last = [], []
    for step in range(60):
        terms = scene_terms(network, batch, np.random.default_rng(step), "boxes")
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        (first if step < 10 else last).append([terms[name].item() for name in ("correction", "fit", "outline")])
    before, after = np.mean(first, 0), np.mean(last[-10:], 0)
    assert after[0] < 0.8 * before[0]
    assert after[1] < before[1]
    assert after[2] < 0.8 * before[2]


def test_losses_in_bfloat16_are_near_those_in_float32() -> None:
    network = two_looks()
    sharp = scene_terms(network, windows(), np.random.default_rng(1), "boxes")
    rough = scene_terms(network, windows(), np.random.default_rng(1), "boxes", Compute(precision="bfloat16"))
    assert {name: value.item() for name, value in rough.items()} == pytest.approx(
        {name: value.item() for name, value in sharp.items()}, rel=0.1
    )


def test_a_window_gives_so_many_of_the_detectors_boxes_and_half_as_many_words() -> None:
    network, batch = two_looks(), windows()
    with torch.no_grad():
        output = network.detect(network.levels(network.normalize(batch.images_B3HW)))
    alone = propose(output, 0, torch.zeros(0, 4), SIDE, np.random.default_rng(0))
    both = propose(output, 0, batch.boxes[0], SIDE, np.random.default_rng(0))
    assert 0 < len(alone) <= PROPOSALS
    assert len(both) == len(alone) + PROPOSALS // 2


def test_misplaced_boxes_are_never_turned_inside_out() -> None:
    boxes = torch.tensor([[10.0, 10.0, 30.0, 20.0]]).repeat(500, 1)
    moved = misplaced(boxes, np.full((500, 1), 0.5), np.random.default_rng(0))
    assert (moved[:, 2:] > moved[:, :2]).all()
    assert torch.equal(misplaced(boxes, np.zeros((500, 1)), np.random.default_rng(0)), boxes)


def test_a_preset_without_a_second_look_is_refused() -> None:
    with pytest.raises(SettingError, match="tdsl-tiny takes no second look at boxes"):
        scene_terms(toy_network().eval(), windows(), np.random.default_rng(0), "boxes")
