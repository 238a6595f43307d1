"""From one image to the words found in it: detector, pooling and reading, as `encoder` stores them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from glyphseek.models.tdsl.detector import decode_detections
from glyphseek.models.tdsl.network import Tdsl, pad_to_divisor, shrink
from glyphseek.models.tdsl.outlines import outlines_of
from glyphseek.models.tdsl.refining import BoxRefiner, bent, corrected
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import TdslSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWords:
    """Words of one image, best detection first: boxes_N4 as fractions of the image, scores_N, vectors_ND unit norm.

    letters_NSA: the natural logarithm of what CTC reads in S columns, the blank last, as `Instances` orders it.
    """

    boxes_N4: Tensor
    scores_N: Tensor
    vectors_ND: Tensor
    letters_NSA: Tensor

    def readable(self, least_reading: float) -> FoundWords:
        """Return the words of which something can be read so surely; see `TdslSettings.least_reading`."""
        surest_NS, signs_NS = self.letters_NSA.float().max(-1)
        is_kept_N = (self.scores_N.float().log() + surest_NS.sum(1) >= least_reading) & (
            signs_NS < self.letters_NSA.shape[2] - 1
        ).any(1)
        return FoundWords(
            boxes_N4=self.boxes_N4[is_kept_N],
            scores_N=self.scores_N[is_kept_N],
            vectors_ND=self.vectors_ND[is_kept_N],
            letters_NSA=self.letters_NSA[is_kept_N],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWords:
    """What the detector found at one size: the picture it read, its pyramid, boxes_N4 in its pixels and scores_N."""

    picture_3HW: Tensor
    levels: dict[int, Tensor]
    boxes_N4: Tensor
    scores_N: Tensor

    def fractions(self) -> Tensor:
        """Return boxes_N4 as fractions of the picture."""
        return self.boxes_N4 / size_of(self.picture_3HW)


def find_words(network: Tdsl, pixels_3HW: Tensor) -> FoundWords:
    """Return the words of one RGB image in [0, 255], its longer side at most the preset's `prepared_longer_side`.

    Words are read from the image, at the preset's `longer_side`, or from the pyramid of the size they were found at.
    """
    settings = network.settings
    normalized = network.normalize(pixels_3HW)
    seen = [see_words(network, normalized, side) for side in sizes_to_see(settings, max(pixels_3HW.shape[-2:]))]
    boxes_N4, scores_N = torch.cat([one.fractions() for one in seen]), torch.cat([one.scores_N for one in seen])
    best = slice(None) if len(seen) == 1 else merge(boxes_N4, scores_N, settings)
    if settings.roi_source == "image":
        source = shrink_to(normalized, settings.longer_side)
        boxes_N4, scores_N = boxes_N4[best], scores_N[best]
        if network.refiner is None:
            rois = network.pool_words(source, {}, 0, boxes_N4 * size_of(source))
        else:
            boxes_N4, scores_N, outlines_N62 = refine(network.refiner, source, boxes_N4, scores_N, settings)
            rois = network.pool_outlined(source, outlines_N62)
        vectors_ND, letters_NSA = read_words(network, rois)
    else:
        rois_of = [network.pool_words(one.picture_3HW, one.levels, 0, one.boxes_N4) for one in seen]
        read = [read_words(network, rois) for rois in rois_of]
        vectors_ND, letters_NSA = (torch.cat(parts)[best] for parts in zip(*read, strict=True))
        boxes_N4, scores_N = boxes_N4[best], scores_N[best]
    found = FoundWords(boxes_N4=boxes_N4.clamp(0, 1), scores_N=scores_N, vectors_ND=vectors_ND, letters_NSA=letters_NSA)
    return found if settings.least_reading is None else found.readable(settings.least_reading)


def sizes_to_see(settings: TdslSettings, longer_side: int) -> list[int]:
    """Return the longer sides at which the detector reads an image of that longer side, its own first, none twice.

    An image is never enlarged: sizes at or above its own are all the same picture.
    """
    wanted = (settings.detector_longer_side, *settings.extra_longer_sides)
    return list(dict.fromkeys(min(side, longer_side) for side in wanted))


def read_words(network: Tdsl, rois_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit vectors (N, D) and the logarithms of letters (N, S, A) of pooled words."""
    if not len(rois_NCHW):
        settings = network.settings
        signs = network.ctc.out_features
        return rois_NCHW.new_zeros(0, settings.vector_width), rois_NCHW.new_zeros(0, settings.sequence_columns, signs)
    embedding, columns = network.image_sequence(rois_NCHW)
    return unit_vectors(embedding), network.ctc(columns).log_softmax(-1)


def see_words(network: Tdsl, normalized_3HW: Tensor, longer_side: int) -> SeenWords:
    """Return what the detector finds in the image shrunk to a longer side, best first; a smaller one keeps its size."""
    settings = network.settings
    picture = shrink_to(normalized_3HW, longer_side)
    levels = network.levels(pad_to_divisor(picture)[None])
    boxes_N4, scores_N = decode_detections(
        network.detect(levels),
        0,
        width=picture.shape[-1],
        height=picture.shape[-2],
        threshold=settings.score_threshold,
        nms_iou=settings.nms_iou,
        most=settings.most_detected,
        by_centredness=settings.score_by_centredness,
    )
    return SeenWords(picture_3HW=picture, levels=levels, boxes_N4=boxes_N4, scores_N=scores_N)


def refine(
    refiner: BoxRefiner, source_3HW: Tensor, boxes_N4: Tensor, scores_N: Tensor, settings: TdslSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes (fractions), scores and outlines (N, 6, 2; pixels of the source) after a second look, best first.

    Boxes are corrected, and those that fit no word left out. A score is multiplied by the square root of the IoU that
    the box is expected to have. The outline is the box's own where the preset tells none.
    """
    size_4 = size_of(source_3HW)
    pixels_N4 = boxes_N4 * size_4
    look = refiner(refiner.cut(source_3HW, pixels_N4))
    seen_N4 = corrected(pixels_N4, look.moves_N4).clamp(min=0).minimum(size_4)
    scores_N = scores_N * look.fits_N.sigmoid().sqrt()
    outlines_N62 = outlines_of(seen_N4) if look.bends_N62 is None else bent(pixels_N4, look.bends_N62)
    is_kept_N = (scores_N >= settings.refined_threshold) & (seen_N4[:, 2:] > seen_N4[:, :2]).all(1)
    seen_N4, scores_N, outlines_N62 = seen_N4[is_kept_N] / size_4, scores_N[is_kept_N], outlines_N62[is_kept_N]
    best = nms(seen_N4, scores_N, settings.refined_nms_iou)[: settings.max_instances]
    return seen_N4[best], scores_N[best], outlines_N62[best]


def size_of(picture_3HW: Tensor) -> Tensor:
    """Return what fractions of a picture are multiplied by to be pixels: width, height, width, height."""
    height, width = picture_3HW.shape[-2:]
    return picture_3HW.new_tensor([width, height] * 2)


def shrink_to(image_3HW: Tensor, longer_side: int) -> Tensor:
    """Return the image shrunk to a longer side; a smaller one keeps its size."""
    return shrink(image_3HW, min(1.0, longer_side / max(image_3HW.shape[-2:])))


def merge(boxes_N4: Tensor, scores_N: Tensor, settings: TdslSettings) -> Tensor:
    """Return which boxes found at several sizes overlap no better one, best first, at most those looked at again.

    Boxes are fractions of the image; IoU does not depend on its sides.
    """
    return nms(boxes_N4, scores_N, settings.nms_iou)[: settings.most_detected]
