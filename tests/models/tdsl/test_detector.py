"""FCOS targets, losses and decoding against plain loops and hand-made cases."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from glyphseek.models.tdsl.detector import (
    CENTRE_RADIUS,
    DetectorOutput,
    Targets,
    assign_targets,
    centredness,
    decode_detections,
    detection_terms,
    locations,
)

LIMITS = (64, 128, 256)
STRIDES = (8, 16, 32, 64)


def all_locations(height: int, width: int) -> tuple[Tensor, Tensor]:
    points = [locations(height // s, width // s, s, torch.device("cpu")) for s in STRIDES]
    return torch.cat(points), torch.cat([torch.full((len(p),), float(s)) for p, s in zip(points, STRIDES, strict=True)])


def random_boxes(count: int, side: int, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, side * 0.8, (count, 2))
    size = np.exp(rng.uniform(np.log(8), np.log(side), (count, 2)))
    return torch.from_numpy(np.concatenate([corner, corner + size], 1)).float()


def reference_target(point: list[float], stride: float, boxes: list[list[float]]) -> list[float] | None:
    level = STRIDES.index(int(stride))
    lower, upper = [0.0, *LIMITS][level], [*LIMITS, math.inf][level]
    best: tuple[float, list[float]] | None = None
    for left, top, right, bottom in boxes:
        sides = [point[0] - left, point[1] - top, right - point[0], bottom - point[1]]
        near = max(abs(point[0] - (left + right) / 2), abs(point[1] - (top + bottom) / 2)) < CENTRE_RADIUS * stride
        area = (right - left) * (bottom - top)
        if min(sides) > 0 and near and lower <= max(sides) < upper and (best is None or area < best[0]):
            best = area, sides
    return None if best is None else best[1]


def test_targets_equal_a_loop_over_locations_and_boxes() -> None:
    points, strides = all_locations(512, 512)
    boxes = random_boxes(25, 512, 0)

    found = assign_targets(points, strides, boxes, torch.zeros(0, 4), LIMITS)

    positives = 0
    for i, (point, stride) in enumerate(zip(points.tolist(), strides.tolist(), strict=True)):
        wanted = reference_target(point, stride, boxes.tolist())
        assert bool(found.is_text_A[i]) is (wanted is not None)
        if wanted is not None:
            positives += 1
            assert found.distances_A4[i].tolist() == pytest.approx(wanted, abs=1e-3)
    assert positives > 25


def test_locations_in_illegible_text_are_ignored_unless_a_word_claims_them() -> None:
    points, strides = all_locations(128, 128)
    word, illegible = torch.tensor([[40.0, 40.0, 80.0, 60.0]]), torch.tensor([[0.0, 0.0, 128.0, 128.0]])

    found = assign_targets(points, strides, word, illegible, LIMITS)

    assert bool((found.is_text_A | found.is_ignored_A).all())
    assert not bool((found.is_text_A & found.is_ignored_A).any())


def test_an_image_without_text_is_all_background() -> None:
    points, strides = all_locations(64, 64)

    found = assign_targets(points, strides, torch.zeros(0, 4), torch.zeros(0, 4), LIMITS)

    assert not bool(found.is_text_A.any())
    assert found.distances_A4.shape == (len(points), 4)


def test_centredness_is_one_in_the_middle_and_falls_to_the_border() -> None:
    sides = torch.tensor([[10.0, 4.0, 10.0, 4.0], [5.0, 4.0, 15.0, 4.0], [0.0, 4.0, 20.0, 4.0]])

    assert centredness(sides).tolist() == pytest.approx([1.0, math.sqrt(1 / 3), 0.0])


def make_output(points: Tensor, strides: Tensor, seed: int) -> DetectorOutput:
    rng = np.random.default_rng(seed)
    count = len(points)
    return DetectorOutput(
        logits_BA=torch.from_numpy(rng.normal(size=(1, count))),
        centredness_BA=torch.from_numpy(rng.normal(size=(1, count))),
        distances_BA4=torch.from_numpy(rng.uniform(1, 60, (1, count, 4))),
        points_A2=points.double(),
        strides_A=strides,
    )


def reference_loss(output: DetectorOutput, targets: Targets, quality: str) -> dict[str, float]:
    focal = box = centre = weight_sum = 0.0
    positives = int(targets.is_text_A.sum())
    for i in range(len(targets.is_text_A)):
        if targets.is_ignored_A[i]:
            continue
        p = 1 / (1 + math.exp(-float(output.logits_BA[0, i])))
        if not targets.is_text_A[i]:
            focal += -0.75 * p**2 * math.log(1 - p)
            continue
        focal += -0.25 * (1 - p) ** 2 * math.log(p)
        wanted, got = targets.distances_A4[i].tolist(), output.distances_BA4[0, i].tolist()
        weight = float(centredness(targets.distances_A4[i : i + 1])[0])
        box += weight * (1 - generalised_iou(wanted, got))
        weight_sum += weight
        q = 1 / (1 + math.exp(-float(output.centredness_BA[0, i])))
        goal = weight if quality == "centredness" else shared_area(wanted, got) / joint_area(wanted, got)
        centre += -goal * math.log(q) - (1 - goal) * math.log(1 - q)
    return {"text": focal / positives, "box": box / weight_sum, "quality": centre / positives}


def area(sides: list[float]) -> float:
    return (sides[0] + sides[2]) * (sides[1] + sides[3])


def shared_area(a: list[float], b: list[float]) -> float:
    return area([min(x, y) for x, y in zip(a, b, strict=True)])


def joint_area(a: list[float], b: list[float]) -> float:
    return area(a) + area(b) - shared_area(a, b)


def generalised_iou(a: list[float], b: list[float]) -> float:
    hull = area([max(x, y) for x, y in zip(a, b, strict=True)])
    return shared_area(a, b) / joint_area(a, b) - (hull - joint_area(a, b)) / hull


@pytest.mark.parametrize("quality", ["centredness", "iou"])
def test_losses_of_text_boxes_and_quality_are_those_of_loops(quality: Literal["centredness", "iou"]) -> None:
    points, strides = all_locations(256, 256)
    ignored = torch.tensor([[200.0, 200.0, 256.0, 256.0]])
    targets = assign_targets(points, strides, random_boxes(9, 256, 4), ignored, LIMITS)
    output = make_output(points, strides, 5)

    found = {name: float(value) for name, value in detection_terms(output, [targets], quality).items()}

    assert found == pytest.approx(reference_loss(output, targets, quality), rel=1e-5)


def test_the_quality_of_a_box_moves_no_box() -> None:
    points, strides = all_locations(64, 64)
    targets = assign_targets(points, strides, random_boxes(3, 64, 4), torch.zeros(0, 4), LIMITS)
    output = make_output(points, strides, 5)
    output.distances_BA4.requires_grad_()
    output.centredness_BA.requires_grad_()

    detection_terms(output, [targets], "iou")["quality"].backward()

    assert output.distances_BA4.grad is None
    assert output.centredness_BA.grad is not None


def test_loss_without_any_text_is_finite_and_reaches_every_head() -> None:
    points, strides = all_locations(64, 64)
    output = make_output(points, strides, 6)
    for tensor in (output.logits_BA, output.centredness_BA, output.distances_BA4):
        tensor.requires_grad_()

    nothing = assign_targets(points, strides, torch.zeros(0, 4), torch.zeros(0, 4), LIMITS)
    loss = torch.stack(list(detection_terms(output, [nothing]).values())).sum()
    loss.backward()

    assert bool(torch.isfinite(loss))
    assert output.distances_BA4.grad is not None


def test_decoding_a_perfect_answer_gives_the_boxes_back() -> None:
    points, strides = all_locations(256, 256)
    boxes = torch.tensor([[20.0, 30.0, 90.0, 50.0], [10.0, 120.0, 240.0, 200.0]])
    targets = assign_targets(points, strides, boxes, torch.zeros(0, 4), LIMITS)
    output = DetectorOutput(
        logits_BA=torch.where(targets.is_text_A, 6.0, -9.0)[None],
        centredness_BA=torch.zeros(1, len(points)),
        distances_BA4=targets.distances_A4[None],
        points_A2=points,
        strides_A=strides,
    )

    found, scores = decode_detections(output, 0, width=256, height=256, threshold=0.2, nms_iou=0.6, most=100)

    order = found[:, 1].argsort()
    assert torch.allclose(found[order], boxes, atol=1e-4)
    assert bool((scores > 0.99).all())


def test_decoding_clips_to_the_image_and_keeps_the_most_confident() -> None:
    points, strides = all_locations(64, 64)
    output = make_output(points, strides, 7)

    boxes, scores = decode_detections(output, 0, width=50, height=40, threshold=0.05, nms_iou=0.6, most=5)

    assert len(boxes) == 5
    assert float(boxes.min()) >= 0
    assert float(boxes[:, 2].max()) <= 50
    assert float(boxes[:, 3].max()) <= 40
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
