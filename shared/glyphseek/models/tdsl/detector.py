"""FCOS for one class, text (Tian et al., ICCV 2019, as TDSL uses it): head, targets, loss and decoding.

Shape legend: B images, A locations of all levels, G ground-truth boxes of one image, N detections.
Boxes are left, top, right, bottom in pixels of the detector's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import batched_nms, generalized_box_iou_loss, sigmoid_focal_loss

CENTRE_RADIUS = 1.5
"""A location is positive within this many strides of a box's centre."""
CANDIDATES_PER_LEVEL = 1000
PRE_NMS_SCORE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutput:
    """Raw answers at every location: logits_BA, centredness_BA (logits), distances_BA4 in pixels, and their places."""

    logits_BA: Tensor
    centredness_BA: Tensor
    distances_BA4: Tensor
    points_A2: Tensor
    strides_A: Tensor


class FcosHead(nn.Module):
    """A tower shared by all levels and by the three heads: text logit, box distances, centre-ness."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        groups = min(32, width // 4)
        self.tower = nn.Sequential(
            *(
                layer
                for _ in range(depth)
                for layer in (nn.Conv2d(width, width, 3, 1, 1), nn.GroupNorm(groups, width), nn.ReLU(inplace=True))
            )
        )
        self.heads = nn.Conv2d(width, 6, 3, 1, 1)
        nn.init.normal_(self.heads.weight, std=0.01)
        # Focal loss wants a prior of 0.01 for text; a box starts three strides to each side so that ReLU is alive.
        self.heads.bias = nn.Parameter(torch.tensor([-4.6, 3.0, 3.0, 3.0, 3.0, 0.0]))

    def forward(self, levels: dict[int, Tensor]) -> DetectorOutput:
        """Return the raw answers over the levels given ({stride: (B, width, h, w)})."""
        answers: list[Tensor] = []
        points: list[Tensor] = []
        strides: list[Tensor] = []
        for stride, level in levels.items():
            heads_B6HW = self.heads(self.tower(level)).float()  # distances need more than the 8 bits of bfloat16
            answers.append(
                torch.cat([heads_B6HW[:, :1], functional.relu(heads_B6HW[:, 1:5]) * stride, heads_B6HW[:, 5:]], 1)
                .flatten(2)
                .transpose(1, 2)
            )
            points.append(locations(level.shape[-2], level.shape[-1], stride, level.device))
            strides.append(torch.full((points[-1].shape[0],), float(stride), device=level.device))
        answers_BA6 = torch.cat(answers, 1)
        return DetectorOutput(
            logits_BA=answers_BA6[..., 0],
            distances_BA4=answers_BA6[..., 1:5],
            centredness_BA=answers_BA6[..., 5],
            points_A2=torch.cat(points),
            strides_A=torch.cat(strides),
        )


def locations(rows: int, columns: int, stride: int, device: torch.device) -> Tensor:
    """Return the centres (x, y) in pixels of a level's cells, row by row: (rows * columns, 2)."""
    y = (torch.arange(rows, device=device) + 0.5) * stride
    x = (torch.arange(columns, device=device) + 0.5) * stride
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What each location of one image should answer: is_text_A, is_ignored_A (bool) and distances_A4 in pixels."""

    is_text_A: Tensor
    is_ignored_A: Tensor
    distances_A4: Tensor


def side_distances(points_A2: Tensor, boxes_G4: Tensor) -> Tensor:
    """Return (A, G, 4): how far each location is from the left, top, right and bottom of each box; negative outside."""
    x, y = points_A2[:, None, 0], points_A2[:, None, 1]
    left, top, right, bottom = boxes_G4.unbind(1)
    return torch.stack([x - left, y - top, right - x, bottom - y], -1)


def assign_targets(
    points_A2: Tensor, strides_A: Tensor, boxes_G4: Tensor, ignored_boxes_G4: Tensor, level_limits: tuple[int, ...]
) -> Targets:
    """Assign each location the smallest box that it is near the centre of and whose size its level is for.

    Locations inside an ignored box (illegible text) are neither text nor background.
    """
    count = points_A2.shape[0]
    is_ignored = torch.zeros(count, dtype=torch.bool, device=points_A2.device)
    if ignored_boxes_G4.shape[0]:
        is_ignored = (side_distances(points_A2, ignored_boxes_G4).amin(-1) > 0).any(1)
    if not boxes_G4.shape[0]:
        nothing = torch.zeros(count, dtype=torch.bool, device=points_A2.device)
        return Targets(
            is_text_A=nothing, is_ignored_A=is_ignored, distances_A4=torch.zeros_like(points_A2).repeat(1, 2)
        )
    distances_AG4 = side_distances(points_A2, boxes_G4)
    centres_G2 = (boxes_G4[:, :2] + boxes_G4[:, 2:]) / 2
    offset_AG = (points_A2[:, None] - centres_G2).abs().amax(-1)
    reach_AG = distances_AG4.amax(-1)
    lower, upper = level_bounds(strides_A, level_limits)
    fits_AG = (
        (distances_AG4.amin(-1) > 0)
        & (offset_AG < CENTRE_RADIUS * strides_A[:, None])
        & (reach_AG >= lower[:, None])
        & (reach_AG < upper[:, None])
    )
    areas_G = (boxes_G4[:, 2] - boxes_G4[:, 0]) * (boxes_G4[:, 3] - boxes_G4[:, 1])
    areas_AG = torch.where(fits_AG, areas_G.expand_as(offset_AG), float("inf"))
    smallest_A = areas_AG.argmin(1)
    is_text = fits_AG.any(1)
    return Targets(
        is_text_A=is_text,
        is_ignored_A=is_ignored & ~is_text,
        distances_A4=distances_AG4[torch.arange(count, device=points_A2.device), smallest_A],
    )


def level_bounds(strides_A: Tensor, level_limits: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the smallest and largest side distance that each location's level is responsible for."""
    edges = torch.tensor([0.0, *level_limits, float("inf")], device=strides_A.device)
    level_A = (strides_A.log2() - 3).round().long()
    return edges[level_A], edges[level_A + 1]


def centredness(distances_A4: Tensor) -> Tensor:
    """Return 1 at the centre of a box and 0 at its border (FCOS, equation 3)."""
    horizontal, vertical = distances_A4[:, [0, 2]], distances_A4[:, [1, 3]]
    ratio = (horizontal.amin(1) / horizontal.amax(1)) * (vertical.amin(1) / vertical.amax(1))
    return ratio.clamp(min=0).sqrt()


def detection_terms(
    output: DetectorOutput, targets: list[Targets], quality: Literal["centredness", "iou"] = "centredness"
) -> dict[str, Tensor]:
    """Return TDSL's L_det in its parts: focal loss of text, GIoU loss of boxes, cross entropy of their quality.

    Each is summed over the batch and divided by its positives; GIoU is weighted by the target centre-ness and divided
    by the sum of these weights, as in FCOS. The quality a location learns is its target centre-ness (FCOS), or the IoU
    of the box that it answers with the true one: what non-maximum suppression should rank by.
    """
    is_text = torch.stack([t.is_text_A for t in targets])
    counted = ~torch.stack([t.is_ignored_A for t in targets])
    positives = is_text.sum().clamp(min=1)
    focal = sigmoid_focal_loss(
        output.logits_BA[counted], is_text[counted].float(), alpha=0.25, gamma=2, reduction="sum"
    )
    if not is_text.any():
        return {
            "text": focal / positives,
            "box": 0 * output.distances_BA4.sum(),
            "quality": 0 * output.centredness_BA.sum(),
        }
    wanted = torch.stack([t.distances_A4 for t in targets])[is_text]
    weights = centredness(wanted)
    sides = torch.tensor([-1.0, -1.0, 1.0, 1.0], device=wanted.device)
    found_boxes, wanted_boxes = output.distances_BA4[is_text] * sides, wanted * sides
    box = generalized_box_iou_loss(found_boxes, wanted_boxes)
    goal = weights if quality == "centredness" else overlap(found_boxes.detach(), wanted_boxes)
    bce = functional.binary_cross_entropy_with_logits(output.centredness_BA[is_text], goal, reduction="sum")
    return {
        "text": focal / positives,
        "box": (box * weights).sum() / weights.sum().clamp(min=1e-6),
        "quality": bce / positives,
    }


def overlap(first_N4: Tensor, second_N4: Tensor) -> Tensor:
    """Return the IoU (N,) of boxes in pairs."""
    low, high = torch.maximum(first_N4[:, :2], second_N4[:, :2]), torch.minimum(first_N4[:, 2:], second_N4[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (first_N4[:, 2:] - first_N4[:, :2]).prod(1) + (second_N4[:, 2:] - second_N4[:, :2]).prod(1)
    return shared / (areas - shared).clamp(min=1e-6)


def decode_detections(
    output: DetectorOutput,
    image: int,
    *,
    width: int,
    height: int,
    threshold: float,
    nms_iou: float,
    most: int,
    by_centredness: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the boxes (N, 4) clipped to the image and scores (N,) of one image of the batch, best first.

    Score is the text probability alone, as in TDSL, or with `by_centredness` its geometric mean with centre-ness, as
    in FCOS. At most `CANDIDATES_PER_LEVEL` locations a level enter non-maximum suppression.
    """
    scores_A = output.logits_BA[image].sigmoid()
    if by_centredness:
        scores_A = (scores_A * output.centredness_BA[image].sigmoid()).sqrt()
    keep = top_per_level(scores_A, output.strides_A, max(threshold, PRE_NMS_SCORE))
    points, distances = output.points_A2[keep], output.distances_BA4[image][keep]
    boxes = torch.cat([points - distances[:, :2], points + distances[:, 2:]], 1)
    boxes = torch.stack(
        [
            boxes[:, 0].clamp(0, width),
            boxes[:, 1].clamp(0, height),
            boxes[:, 2].clamp(0, width),
            boxes[:, 3].clamp(0, height),
        ],
        1,
    )
    scores = scores_A[keep]
    solid = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    boxes, scores = boxes[solid], scores[solid]
    best = batched_nms(boxes, scores, torch.zeros_like(scores, dtype=torch.long), nms_iou)[:most]
    return boxes[best], scores[best]


def top_per_level(scores_A: Tensor, strides_A: Tensor, threshold: float) -> Tensor:
    """Return the indices of the locations above `threshold`, at most `CANDIDATES_PER_LEVEL` of each level."""
    passing = (scores_A > threshold).nonzero().squeeze(1)
    kept: list[Tensor] = []
    for stride in strides_A[passing].unique():
        level = passing[strides_A[passing] == stride]
        kept.append(level[scores_A[level].topk(min(CANDIDATES_PER_LEVEL, level.numel())).indices])
    return torch.cat(kept) if kept else passing
