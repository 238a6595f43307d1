"""From one image to the words found in it: detector, pooling and reading, as `encoder` stores them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from glyphseek.models.tdsl.detector import decode_detections
from glyphseek.models.tdsl.network import Tdsl, pad_to_divisor, shrink
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import TdslSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWords:
    """Words of one image, best detection first: boxes_N4 as fractions of the image, scores_N, vectors_ND unit norm."""

    boxes_N4: Tensor
    scores_N: Tensor
    vectors_ND: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWords:
    """What the detector found at one size: the picture it read, its pyramid, boxes_N4 in its pixels and scores_N."""

    picture_3HW: Tensor
    levels: dict[int, Tensor]
    boxes_N4: Tensor
    scores_N: Tensor

    def fractions(self) -> Tensor:
        """Return boxes_N4 as fractions of the picture."""
        height, width = self.picture_3HW.shape[-2:]
        return self.boxes_N4 / self.boxes_N4.new_tensor([width, height] * 2)


def find_words(network: Tdsl, pixels_3HW: Tensor) -> FoundWords:
    """Return the words of one RGB image in [0, 255]."""
    settings = network.settings
    normalized = network.normalize(pixels_3HW)
    height, width = pixels_3HW.shape[-2:]
    seen = see_words(network, normalized, settings.detector_longer_side)
    fractions_N4, scores_N = seen.fractions(), seen.scores_N
    for longer_side in settings.extra_longer_sides:
        if longer_side < max(height, width):
            again = see_words(network, normalized, longer_side)
            fractions_N4, scores_N = merge(
                torch.cat([fractions_N4, again.fractions()]), torch.cat([scores_N, again.scores_N]), settings
            )
    if settings.roi_source == "image":
        source, read_N4 = normalized, fractions_N4 * fractions_N4.new_tensor([width, height] * 2)
    else:
        source = seen.picture_3HW
        read_N4 = fractions_N4 * fractions_N4.new_tensor([source.shape[-1], source.shape[-2]] * 2)
    vectors_ND = normalized.new_zeros(0, settings.vector_width)
    if len(read_N4):
        vectors_ND = unit_vectors(network.image_sequence(network.pool_words(source, seen.levels, 0, read_N4))[0])
    return FoundWords(boxes_N4=fractions_N4.clamp(0, 1), scores_N=scores_N, vectors_ND=vectors_ND)


def see_words(network: Tdsl, normalized_3HW: Tensor, longer_side: int) -> SeenWords:
    """Return what the detector finds in the image shrunk to a longer side, best first; a smaller one keeps its size."""
    settings = network.settings
    picture = shrink(normalized_3HW, min(1.0, longer_side / max(normalized_3HW.shape[-2:])))
    levels = network.levels(pad_to_divisor(picture)[None])
    boxes_N4, scores_N = decode_detections(
        network.detect(levels),
        0,
        width=picture.shape[-1],
        height=picture.shape[-2],
        threshold=settings.score_threshold,
        nms_iou=settings.nms_iou,
        most=settings.max_instances,
        by_centredness=settings.score_by_centredness,
    )
    return SeenWords(picture_3HW=picture, levels=levels, boxes_N4=boxes_N4, scores_N=scores_N)


def merge(boxes_N4: Tensor, scores_N: Tensor, settings: TdslSettings) -> tuple[Tensor, Tensor]:
    """Return boxes found at several sizes without those that overlap a better one, best first, at most the preset's.

    Boxes are fractions of the image; IoU does not depend on its sides.
    """
    best = nms(boxes_N4, scores_N, settings.nms_iou)[: settings.max_instances]
    return boxes_N4[best], scores_N[best]
