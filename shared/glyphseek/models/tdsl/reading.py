"""From one image to the words found in it: detector, pooling and reading, as `encoder` stores them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from glyphseek.models.tdsl.detector import decode_detections
from glyphseek.models.tdsl.network import Tdsl, pad_to_divisor, shrink
from glyphseek.models.tdsl.sequences import unit_vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWords:
    """Words of one image, best detection first: boxes_N4 as fractions of the image, scores_N, vectors_ND unit norm."""

    boxes_N4: Tensor
    scores_N: Tensor
    vectors_ND: Tensor


def find_words(network: Tdsl, pixels_3HW: Tensor) -> FoundWords:
    """Return the words of one RGB image in [0, 255]."""
    settings = network.settings
    normalized = network.normalize(pixels_3HW)
    height, width = pixels_3HW.shape[-2:]
    small = shrink(normalized, min(1.0, settings.detector_longer_side / max(height, width)))
    levels = network.levels(pad_to_divisor(small)[None])
    boxes_N4, scores_N = decode_detections(
        network.detect(levels),
        0,
        width=small.shape[-1],
        height=small.shape[-2],
        threshold=settings.score_threshold,
        nms_iou=settings.nms_iou,
        most=settings.max_instances,
        by_centredness=settings.score_by_centredness,
    )
    fractions_N4 = boxes_N4 / boxes_N4.new_tensor([small.shape[-1], small.shape[-2]] * 2)
    if settings.roi_source == "image":
        source, read_N4 = normalized, fractions_N4 * boxes_N4.new_tensor([width, height] * 2)
    else:
        source, read_N4 = small, boxes_N4
    vectors_ND = normalized.new_zeros(0, settings.vector_width)
    if len(boxes_N4):
        vectors_ND = unit_vectors(network.image_sequence(network.pool_words(source, levels, 0, read_N4))[0])
    return FoundWords(boxes_N4=fractions_N4.clamp(0, 1), scores_N=scores_N, vectors_ND=vectors_ND)
