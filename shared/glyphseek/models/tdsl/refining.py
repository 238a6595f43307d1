"""A second look at each box, from the image itself: where the word really ends, and how well the box then fits.

The detector answers from maps of stride 8 and coarser; a word of 20 pixels is two or three cells high there. What it
finds is cut out with its surroundings and looked at again, as in Cascade R-CNN (Cai and Vasconcelos, CVPR 2018). An
addition of ours to TDSL.

Boxes are left, top, right, bottom in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from glyphseek.models.tdsl.backbone import residual_stage
from glyphseek.models.tdsl.detector import overlap
from glyphseek.models.tdsl.outlines import measure, outlines_of
from glyphseek.models.tdsl.pooling import sample_boxes
from glyphseek.models.tdsl.settings import TdslSettings

CONTEXT = 0.25
"""What is seen around a box, as a share of its width on the left and right and of its height above and below."""
NECK = 48
HIDDEN = 128
CORRECTED_FROM = 0.35
"""Boxes that overlap a word by this IoU learn to become it."""
CLUTTER_BELOW = 0.3
"""Boxes that overlap every word by less are taken for clutter; those in between teach nothing."""
BOX_WEIGHT = 2.0
OUTLINE_WEIGHT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """What a second look at boxes says: `moves_N4` of their sides, `fits_N` (logits of the IoU they then have with a
    word), and `bends_N62`, how far the points of their outlines are moved; None where outlines are not told.

    Moves and bends are shares of the box's own width or height.
    """

    moves_N4: Tensor
    fits_N: Tensor
    bends_N62: Tensor | None

    def float(self) -> SecondLook:
        """Return the look in float32."""
        bends = None if self.bends_N62 is None else self.bends_N62.float()
        return SecondLook(moves_N4=self.moves_N4.float(), fits_N=self.fits_N.float(), bends_N62=bends)

    def split(self, counts: list[int]) -> list[SecondLook]:
        """Return the looks at the boxes of each image."""
        bends = [None] * len(counts) if self.bends_N62 is None else list(self.bends_N62.split(counts))
        parts = zip(self.moves_N4.split(counts), self.fits_N.split(counts), bends, strict=True)
        return [SecondLook(moves_N4=moves, fits_N=fits, bends_N62=bend) for moves, fits, bend in parts]


class BoxRefiner(nn.Module):
    """Corrects boxes, says how well they fit a word and how the word runs in them, from RoIs of the image."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        stages = (3, *settings.refiner_channels)
        halvings = 2 ** len(settings.refiner_channels)
        cells = (settings.refiner_rows // halvings) * (settings.refiner_columns // halvings)
        self.size = (settings.refiner_rows, settings.refiner_columns)
        self.stages = nn.Sequential(*(residual_stage(stages[i], stages[i + 1]) for i in range(len(stages) - 1)))
        self.neck = nn.Sequential(nn.Conv2d(stages[-1], NECK, 1), nn.ReLU(inplace=True))
        self.hidden = nn.Linear(NECK * cells, HIDDEN)
        self.answers = nn.Linear(HIDDEN, 5)
        nn.init.zeros_(self.answers.weight)  # until something is learned, a box stays as it is
        nn.init.zeros_(self.answers.bias)
        self.bends = bend_layers(NECK * cells) if settings.tells_outlines else None

    def cut(self, normalized_3HW: Tensor, boxes_N4: Tensor) -> Tensor:
        """Return the RoIs (N, 3, rows, columns) of boxes of one image with their surroundings."""
        return sample_boxes(normalized_3HW, with_context(boxes_N4), self.size)

    def forward(self, rois_N3HW: Tensor) -> SecondLook:
        """Return what is seen in RoIs as `cut` makes them."""
        features = self.neck(self.stages(rois_N3HW)).float().flatten(1)
        answers = self.answers(torch.relu(self.hidden(features)))
        bends = None if self.bends is None else self.bends(features).unflatten(1, (6, 2))
        return SecondLook(moves_N4=answers[:, :4], fits_N=answers[:, 4], bends_N62=bends)


def bend_layers(inputs: int) -> nn.Sequential:
    """Return the layers that tell an outline; until something is learned, it is the box's own."""
    last = nn.Linear(HIDDEN, 12)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(inplace=True), last)


def with_context(boxes_N4: Tensor) -> Tensor:
    """Return the boxes grown by `CONTEXT` on every side."""
    grow = CONTEXT * (boxes_N4[:, 2:] - boxes_N4[:, :2])
    return torch.cat([boxes_N4[:, :2] - grow, boxes_N4[:, 2:] + grow], 1)


def corrected(boxes_N4: Tensor, moves_N4: Tensor) -> Tensor:
    """Return the boxes with each side moved by a share of the box's own width or height."""
    return boxes_N4 + moves_N4 * (boxes_N4[:, 2:] - boxes_N4[:, :2]).repeat(1, 2)


def bent(boxes_N4: Tensor, bends_N62: Tensor) -> Tensor:
    """Return the outlines (N, 6, 2) of the boxes with each point moved by a share of the box's own width or height."""
    return outlines_of(boxes_N4) + bends_N62 * (boxes_N4[:, 2:] - boxes_N4[:, :2])[:, None]


def refining_terms(
    boxes_N4: Tensor, look: SecondLook, words_G4: Tensor, outlines_G62: Tensor, ignored_K4: Tensor
) -> dict[str, Tensor]:
    """Return the loss of corrections (GIoU), of outlines, and of fit (cross entropy with the IoU after correction).

    Clutter should fit by 0. Boxes mostly inside ignored regions count only where they are a legible word's. Outlines of
    words, a row for each of `words_G4`, are NaN where they are not known.
    """
    moves_N4, fits_N = look.moves_N4, look.fits_N
    nothing = {"correction": 0 * moves_N4.sum(), "fit": 0 * fits_N.sum()}
    if look.bends_N62 is not None:
        nothing["outline"] = 0 * look.bends_N62.sum()
    if not len(boxes_N4):
        return nothing
    outline = nothing.get("outline")
    is_clutter = torch.ones(len(boxes_N4), dtype=torch.bool, device=boxes_N4.device)
    is_word, goal = ~is_clutter, torch.zeros_like(fits_N)
    correction = nothing["correction"]
    if len(words_G4):
        closest = box_iou(boxes_N4, words_G4).max(1)
        is_word, is_clutter = closest.values >= CORRECTED_FROM, closest.values < CLUTTER_BELOW
        if is_word.any():
            wanted = words_G4[closest.indices[is_word]]
            found = corrected(boxes_N4[is_word], moves_N4[is_word])
            correction = BOX_WEIGHT * generalized_box_iou_loss(found, wanted, reduction="mean")
            goal[is_word] = overlap(found.detach(), wanted)
            if look.bends_N62 is not None:
                told = bent(boxes_N4[is_word], look.bends_N62[is_word])
                outline = outline_loss(told, outlines_G62[closest.indices[is_word]])
    if len(ignored_K4):
        is_clutter &= share_inside(boxes_N4, ignored_K4).amax(1) < 0.5
    counted = is_word | is_clutter
    if not counted.any():
        return nothing
    fit = functional.binary_cross_entropy_with_logits(fits_N[counted], goal[counted])
    return {"correction": correction, "fit": fit} | ({} if outline is None else {"outline": outline})


def outline_loss(told_N62: Tensor, wanted_N62: Tensor) -> Tensor:
    """Return by how much outlines are off in the mean; those that are not known (NaN) do not count."""
    is_known_N = wanted_N62.isfinite().all(2).all(1)
    if not is_known_N.any():
        return 0 * told_N62.sum()
    return OUTLINE_WEIGHT * off_by(told_N62[is_known_N], wanted_N62[is_known_N]).mean()


def off_by(told_N62: Tensor, wanted_N62: Tensor) -> Tensor:
    """Return the mean distance (N,) on x and on y of points from where they belong, in heights of the text."""
    _, height_N = measure(wanted_N62)
    return (told_N62 - wanted_N62).abs().mean((1, 2)) / height_N.clamp(min=1)


def share_inside(boxes_N4: Tensor, regions_K4: Tensor) -> Tensor:
    """Return (N, K): which share of each box is inside each region."""
    low = torch.maximum(boxes_N4[:, None, :2], regions_K4[None, :, :2])
    high = torch.minimum(boxes_N4[:, None, 2:], regions_K4[None, :, 2:])
    areas_N = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(1)
    return (high - low).clamp(min=0).prod(2) / areas_N.clamp(min=1e-6)[:, None]
