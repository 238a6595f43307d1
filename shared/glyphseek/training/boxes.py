"""Stage `boxes`: the refiner learns to correct boxes of the detector, which stays as it is, and misplaced words."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.detector import DetectorOutput, decode_detections
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.outlines import measure, on_edges
from glyphseek.models.tdsl.refining import corrected, refining_terms
from glyphseek.training.compute import ON_CPU, Compute
from glyphseek.training.scenes import SceneBatch

PROPOSED_FROM = 0.1
"""Least score of a detector's box that is looked at."""
PROPOSALS = 48
"""Boxes of the detector looked at in a window, twice the misplaced words, and four times the parts of words."""
DETECTOR_SPREAD, WORD_SPREAD = 0.06, 0.1
"""How far sides of the detector's boxes and of words are moved; see `misplaced`. On photos that it was
trained on the detector errs less than it will: half of its boxes are moved, the others are seen as they are."""
LEAST_LONG = 1.5
"""A word that is less so many times as long as it is high has no part: a part of one letter is seldom proposed."""
PART_SPREAD = 0.05
"""How far sides of parts of words are moved."""


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
    known = zip(batch.boxes, batch.outlines, strict=True)
    boxes = [propose(output, image, words, outlines, side, rng) for image, (words, outlines) in enumerate(known)]
    rois = torch.cat([refiner.cut(image, found) for image, found in zip(images_B3HW, boxes, strict=True)])
    with compute.autocast():
        look = refiner(rois).float()
    looks = look.split([len(found) for found in boxes])
    truth = zip(batch.boxes, batch.outlines, batch.ignored, strict=True)
    terms = [refining_terms(*seen, *known) for seen, known in zip(zip(boxes, looks, strict=True), truth, strict=True)]
    return {name: torch.stack([one[name] for one in terms]).mean() for name in terms[0]}


def propose(
    output: DetectorOutput, image: int, words_G4: Tensor, outlines_G62: Tensor, side: int, rng: np.random.Generator
) -> Tensor:
    """Return boxes (N, 4) of one window to look at again: of the detector, half of them moved, words, and parts."""
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
        pieces_N4 = parts_of(outlines_G62, PROPOSALS // 4, rng)
        parts.append(misplaced(pieces_N4, np.full((len(pieces_N4), 1), PART_SPREAD), rng))
    return torch.cat(parts)


def parts_of(outlines_G62: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Return boxes (N, 4) of `count` parts of long words, a quarter to three quarters of one each.

    Two in five are beginnings, two in five ends. None where no word is long; see `LEAST_LONG`.
    """
    length_G, height_G = measure(outlines_G62)
    long_N = (length_G >= LEAST_LONG * height_G).nonzero().flatten()  # an outline that is not known is not long
    if not len(long_N):
        return outlines_G62.new_zeros(0, 4)
    drawn_N62 = outlines_G62[long_N[torch.from_numpy(rng.integers(len(long_N), size=count)).to(long_N.device)]]
    share_N = rng.uniform(0.25, 0.75, count)
    first_N = (1 - share_N) * np.clip(rng.uniform(-2, 3, count), 0, 1)
    along_NS = first_N[:, None] + share_N[:, None] * np.linspace(0, 1, 5)
    points_NP2 = on_edges(drawn_N62, torch.from_numpy(along_NS).to(drawn_N62)).flatten(1, 2)
    return torch.cat([points_NP2.amin(1), points_NP2.amax(1)], 1)


def misplaced(boxes_N4: Tensor, spread_N1: NDArray[np.float64], rng: np.random.Generator) -> Tensor:
    """Return boxes with sides moved by `spread` times Student's t of their width or height, never turned inside out."""
    moves = (spread_N1 * rng.standard_t(3, (len(boxes_N4), 4))).clip(-0.4, 0.4)
    return corrected(boxes_N4, torch.from_numpy(moves).float().to(boxes_N4.device))
