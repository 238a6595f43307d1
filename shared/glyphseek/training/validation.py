"""Quick figures while a stage trains: reading of held-out crops, and detection on held-out photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.models.tdsl.detector import decode_detections
from glyphseek.models.tdsl.network import Tdsl, pad_to_divisor
from glyphseek.models.tdsl.outlines import outlines_of
from glyphseek.models.tdsl.refining import SecondLook, bent, corrected, off_by
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import TdslSettings
from glyphseek.training.annotated import is_held_out_word, read_annotated_photos
from glyphseek.training.crops import Crop, Levelling, cut_words
from glyphseek.training.scenes import TrainingScene, read_scene, stack_boxes, stack_outlines
from glyphseek.training.words import greedy_words, stack_crops

CHUNK = 64
DETECTION_THRESHOLD = 0.3
MATCH_IOU = 0.5
TIGHT_IOU = 0.7
NEAR_MISSES = 3


class WordValidation:
    """Held-out crops, each asked for among all words of the set and near misses of them."""

    def __init__(self, crops: Mapping[str, Sequence[Crop]], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._crops = {name: list(group) for name, group in crops.items() if group}
        words = sorted({word for group in self._crops.values() for _, word in group})
        near = {augment_word(word, rng) for word in words for _ in range(NEAR_MISSES)}
        self._lexicon = sorted({*words, *near})

    @torch.inference_mode()
    def __call__(self, network: Tdsl) -> dict[str, float]:
        """Return per group the share of crops whose own word is the most similar, and that CTC spells exactly."""
        typed = torch.cat(
            [
                unit_vectors(network.text_sequence(self._lexicon[i : i + CHUNK]))
                for i in range(0, len(self._lexicon), CHUNK)
            ]
        )
        figures: dict[str, float] = {}
        for name, group in self._crops.items():
            vectors, spelt = read_crops(network, [pixels for pixels, _ in group])
            found = [self._lexicon[i] for i in (vectors @ typed.T).argmax(1).tolist()]
            words = [word for _, word in group]
            figures[f"{name}_top1"] = share_equal(found, words)
            figures[f"{name}_spelt"] = share_equal(spelt, words)
            unseen = [i for i, word in enumerate(words) if is_held_out_word(word)]
            if unseen:
                figures[f"{name}_unseen_top1"] = share_equal([found[i] for i in unseen], [words[i] for i in unseen])
        return figures


def read_crops(
    network: Tdsl, crops: Sequence[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]]
) -> tuple[Tensor, list[str]]:
    """Return the unit vectors of crops and what CTC spells for each."""
    vectors: list[Tensor] = []
    spelt: list[str] = []
    for start in range(0, len(crops), CHUNK):
        pixels = network.normalize(stack_crops(crops[start : start + CHUNK]).to(device_of(network)))
        embedding, columns = network.image_sequence(pixels.contiguous(memory_format=torch.channels_last))
        vectors.append(unit_vectors(embedding))
        spelt += greedy_words(network.ctc(columns))
    return torch.cat(vectors), spelt


def share_equal(found: Sequence[str], wanted: Sequence[str]) -> float:
    """Return the share of places at which the two lists agree."""
    return sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted)


def real_crops(folder: Path, preset: TdslSettings, *, most: int = 1000) -> list[Crop]:
    """Return the word crops of a gallery's held-out photos, misplaced and made level as the model's would be."""
    rng = np.random.default_rng(0)
    patches = [patch for photo in read_annotated_photos(folder, held_out=True) for patch in cut_words(photo)]
    levelling = Levelling.of(preset)
    return [(patch.jittered(levelling, rng), patch.word) for patch in patches[:most]]


class DetectionValidation:
    """Held-out photos at the detector's size; legible words to find, illegible regions forgiven."""

    def __init__(self, scenes: Sequence[TrainingScene]) -> None:
        self._scenes = list(scenes)

    @torch.inference_mode()
    def __call__(self, network: Tdsl) -> dict[str, float]:
        """Return recall, precision and their harmonic mean at IoU 0.5 and a score above 0.3."""
        found = wanted = right = 0
        for scene in self._scenes:
            hits, detections, words = count_matches(network, scene)
            right, found, wanted = right + hits, found + detections, wanted + words
        recall, precision = right / max(1, wanted), right / max(1, found)
        harmonic = 2 * recall * precision / max(1e-9, recall + precision)
        return {"detector_recall": recall, "detector_precision": precision, "detector_f": harmonic}


class BoxValidation:
    """The detector's boxes on held-out photos, before and after a second look at each."""

    def __init__(self, scenes: Sequence[TrainingScene]) -> None:
        self._scenes = list(scenes)

    @torch.inference_mode()
    def __call__(self, network: Tdsl) -> dict[str, float]:
        """Return, before and after, the mean best IoU of a legible word, the share of words above 0.7, and, of words
        with an overlapping box and an outline, how far its points are off, in heights of the text.

        Photos without words, and those where nothing is found, do not count; without others there are no figures.
        """
        found = [one for scene in self._scenes for one in self._compare(network, scene)]
        if not found:
            return {}
        figures: dict[str, float] = {}
        for name, figure in zip(("before", "after"), torch.cat(found, 1), strict=True):
            iou, off = figure.unbind(1)
            figures[f"iou_{name}"] = float(iou.mean())
            figures[f"tight_{name}"] = float((iou > TIGHT_IOU).float().mean())
            if off.isfinite().any():
                figures[f"outline_off_{name}"] = float(off.nanmean())
        return figures

    def _compare(self, network: Tdsl, scene: TrainingScene) -> list[Tensor]:
        """Return (2, words, 2), as boxes were found and as they were corrected, or nothing.

        The best IoU of each word with a box, and how far the outline of that box is off, NaN where that is not known.
        """
        legible = [w for w in scene.words if w.word is not None]
        wanted = stack_boxes(legible)
        boxes, _ = detect_scene(network, scene, DETECTION_THRESHOLD)
        if network.refiner is None or not len(boxes) or not len(wanted):
            return []
        device = device_of(network)
        pixels = network.normalize(torch.from_numpy(scene.pixels).permute(2, 0, 1).to(device))
        look = network.refiner(network.refiner.cut(pixels, boxes.to(device)))
        after = corrected(boxes, look.moves_N4.cpu())
        outlines = (outlines_of(boxes), told(boxes, look))
        compared = [
            (box_iou(one, wanted).max(0), outline) for one, outline in zip((boxes, after), outlines, strict=True)
        ]
        true_G62 = stack_outlines(legible)
        offs = [
            torch.where(best.values >= MATCH_IOU, off_by(outline[best.indices], true_G62), torch.nan)
            for best, outline in compared
        ]
        ious = [best.values for best, _ in compared]
        return [torch.stack([torch.stack(pair, 1) for pair in zip(ious, offs, strict=True)])]


def told(boxes_N4: Tensor, look: SecondLook) -> Tensor:
    """Return the outlines (N, 6, 2) that a second look tells, those of the boxes where it tells none."""
    return outlines_of(boxes_N4) if look.bends_N62 is None else bent(boxes_N4, look.bends_N62.cpu())


def count_matches(network: Tdsl, scene: TrainingScene) -> tuple[int, int, int]:
    """Return (matched words, detections outside ignored regions, legible words) of one scene."""
    boxes, _ = detect_scene(network, scene, DETECTION_THRESHOLD)
    wanted = stack_boxes([w for w in scene.words if w.word is not None])
    ignored = stack_boxes([w for w in scene.words if w.word is None])
    overlap = box_iou(boxes, wanted)
    right = 0
    matched = torch.zeros(len(boxes), dtype=torch.bool)
    for column in range(len(wanted)):
        best = int(overlap[:, column].argmax()) if len(boxes) else 0
        if len(boxes) and overlap[best, column] >= MATCH_IOU and not matched[best]:
            matched[best] = True
            right += 1
    forgiven = (
        (box_iou(boxes, ignored) > 0.3).any(1)
        if len(ignored) and len(boxes)
        else torch.zeros(len(boxes), dtype=torch.bool)
    )
    return right, int((matched | ~forgiven).sum()), len(wanted)


def detect_scene(network: Tdsl, scene: TrainingScene, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the boxes and scores, in main memory, that the detector finds in a scene at the size it has."""
    settings = network.settings
    height, width = scene.pixels.shape[:2]
    pixels = network.normalize(torch.from_numpy(scene.pixels).permute(2, 0, 1).to(device_of(network)))
    output = network.detect(network.levels(pad_to_divisor(pixels)[None]))
    boxes_N4, scores_N = decode_detections(
        output,
        0,
        width=width,
        height=height,
        threshold=threshold,
        nms_iou=settings.nms_iou,
        most=settings.max_instances,
        by_centredness=settings.score_by_centredness,
    )
    return boxes_N4.cpu(), scores_N.cpu()


def device_of(network: Tdsl) -> torch.device:
    """Return where the network's weights are."""
    return next(network.parameters()).device


def held_out_scenes(folder: Path, preset: TdslSettings, *, most: int = 60) -> list[TrainingScene]:
    """Return the first held-out photos of a gallery at the detector's size."""
    return [
        read_scene(photo, preset.detector_longer_side) for photo in read_annotated_photos(folder, held_out=True)[:most]
    ]
