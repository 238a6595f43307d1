"""Stage `boxes`: the refiner learns to correct boxes of the detector, which stays as it is, and misplaced words."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.detector import DetectorOutput, decode_detections
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.refining import corrected, refining_terms
from glyphseek.training.compute import ON_CPU, Compute
from glyphseek.training.scenes import SceneBatch

PROPOSED_FROM = 0.1
"""Least score of a detector's box that is looked at."""
PROPOSALS = 48
"""Boxes of the detector looked at in a window, and twice the misplaced words."""
DETECTOR_SPREAD, WORD_SPREAD = 0.06, 0.1
"""How far sides of the detector's boxes and of words are moved; see `misplaced`. On photos that it was
trained on the detector errs less than it will: half of its boxes are moved, the others are seen as they are."""


def box_terms(
    network: Tdsl, images_B3HW: Tensor, batch: SceneBatch, rng: np.random.Generator, compute: Compute = ON_CPU
) -> dict[str, Tensor]:
    """Return the named terms of a second look at boxes of normalized windows.

    Raises SettingError for a preset without a second look.
    """
    refiner = network.refiner
    if refiner is None:
        raise SettingError(f"{network.settings.name} takes no second look at boxes: its refiner_channels are empty")
    with torch.no_grad(), compute.autocast():
        output = network.detect(network.levels(images_B3HW))
    side = images_B3HW.shape[-1]
    boxes = [propose(output, image, words, side, rng) for image, words in enumerate(batch.boxes)]
    rois = torch.cat([refiner.cut(image, found) for image, found in zip(images_B3HW, boxes, strict=True)])
    with compute.autocast():
        look = refiner(rois).float()
    looks = look.split([len(found) for found in boxes])
    truth = zip(batch.boxes, batch.outlines, batch.ignored, strict=True)
    terms = [refining_terms(*seen, *known) for seen, known in zip(zip(boxes, looks, strict=True), truth, strict=True)]
    return {name: torch.stack([one[name] for one in terms]).mean() for name in terms[0]}


def propose(output: DetectorOutput, image: int, words_G4: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Return boxes (N, 4) of one window to look at again: of the detector, half of them moved, and words moved."""
    found_N4, _ = decode_detections(
        output,
        image,
        width=side,
        height=side,
        threshold=PROPOSED_FROM,
        nms_iou=0.8,
        most=4 * PROPOSALS,
        by_centredness=True,
    )
    chosen = torch.from_numpy(rng.permutation(len(found_N4))[:PROPOSALS]).to(found_N4.device)
    found_N4 = found_N4[chosen]
    spread = np.where(rng.random((len(found_N4), 1)) < 0.5, 0.0, DETECTOR_SPREAD)
    parts = [misplaced(found_N4, spread, rng)]
    if len(words_G4):
        drawn = torch.from_numpy(rng.integers(len(words_G4), size=PROPOSALS // 2)).to(words_G4.device)
        parts.append(misplaced(words_G4[drawn], np.full((len(drawn), 1), WORD_SPREAD), rng))
    return torch.cat(parts)


def misplaced(boxes_N4: Tensor, spread_N1: NDArray[np.float64], rng: np.random.Generator) -> Tensor:
    """Return boxes with sides moved by `spread` times Student's t of their width or height, never turned inside out."""
    moves = (spread_N1 * rng.standard_t(3, (len(boxes_N4), 4))).clip(-0.4, 0.4)
    return corrected(boxes_N4, torch.from_numpy(moves).float().to(boxes_N4.device))
