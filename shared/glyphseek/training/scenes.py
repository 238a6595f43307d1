"""Scenes as detector training samples: rendered and real photos, scaled and cut to one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.training.annotated import AnnotatedPhoto, AnnotatedWord, annotate, read_pixels
from glyphseek.training.rendering import open_scene_renderer

SMALLEST_TEXT_PX = 6.0
"""Words lower than this in the detector's input are ignored rather than learned."""
WHOLE = 0.99
"""A word of which less than this share of its box is left after the cut has no outline."""
LEAST_VISIBLE = 0.7
"""A word of which less than this share of its box is left after the cut is ignored."""
RENDERED_BATCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingScene:
    """An upright RGB image and its text regions, boxes in its pixels."""

    pixels: NDArray[np.uint8]
    words: tuple[AnnotatedWord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBatch:
    """Cuts of one size: images_B3HW uint8, and for each its legible boxes with their words and outlines (6, 2), which
    are NaN where they are not known, and the ignored boxes."""

    images_B3HW: Tensor
    boxes: list[Tensor]
    words: list[list[str | None]]
    outlines: list[Tensor]
    ignored: list[Tensor]

    def to(self, device: str) -> SceneBatch:
        """Return the batch with its tensors on the device."""
        return replace(
            self,
            images_B3HW=self.images_B3HW.to(device),
            boxes=[boxes.to(device) for boxes in self.boxes],
            outlines=[outlines.to(device) for outlines in self.outlines],
            ignored=[boxes.to(device) for boxes in self.ignored],
        )


def make_scenes(
    width: int, height: int, backgrounds: Path | None, seed: int, *, settings: SceneSettings | None = None
) -> Callable[[], list[TrainingScene]]:
    """Return a function that renders a batch of scenes at every call; runs in a renderer process."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    renderer = open_scene_renderer(backgrounds, settings=settings)

    def render() -> list[TrainingScene]:
        scenes = [renderer.render(rng, width, height) for _ in range(RENDERED_BATCH)]
        return [
            TrainingScene(pixels=scene.image, words=tuple(annotate(item.text, item.polygon) for item in scene.items))
            for scene in scenes
        ]

    return render


def read_scene(photo: AnnotatedPhoto, longer_side: int) -> TrainingScene:
    """Return a real photo, shrunk to `longer_side`. Raises ImageUnreadable."""
    pixels = read_pixels(photo.path)
    scale = min(1.0, longer_side / max(pixels.shape[:2]))
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    words = tuple(scale_word(word, scale) for word in photo.words)
    shrunk = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return TrainingScene(pixels=shrunk, words=words)


def scale_word(word: AnnotatedWord, scale: float) -> AnnotatedWord:
    """Return the word in a picture of other pixels."""
    outline = None if word.outline_62 is None else word.outline_62 * np.float32(scale)
    return replace(word, box_4=word.box_4 * np.float32(scale), outline_62=outline)


def cut_scene(
    scene: TrainingScene,
    side: int,
    scale: float,
    rng: np.random.Generator,
    *,
    around: NDArray[np.float32] | None = None,
    least_visible: float = LEAST_VISIBLE,
) -> TrainingScene:
    """Return a random `side` x `side` window of the scene scaled by `scale`, padded with grey where it ends.

    The window is placed around the box `around` (4,); without one, half of the windows are placed around a word. Words
    of which less than `least_visible` is left are ignored.
    """
    height, width = scene.pixels.shape[:2]
    pixels = cv2.resize(
        scene.pixels,
        (max(8, round(width * scale)), max(8, round(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    rows, columns = pixels.shape[:2]
    x, y = rng.integers(0, max(1, columns - side + 1)), rng.integers(0, max(1, rows - side + 1))
    if around is None and scene.words and rng.random() < 0.5:
        around = scene.words[int(rng.integers(len(scene.words)))].box_4
    if around is not None:
        centre = (around[:2] + around[2:]) / 2 * scale - rng.uniform(0.25, 0.75, 2) * side
        x, y = (int(np.clip(c, 0, max(0, n - side))) for c, n in zip(centre, (columns, rows), strict=True))
    window = np.full((side, side, 3), 114, np.uint8)
    part = pixels[y : y + side, x : x + side]
    window[: part.shape[0], : part.shape[1]] = part
    limit = np.array([part.shape[1], part.shape[0]] * 2, np.float32)
    corner = np.array([x, y, x, y], np.float32)
    words = [move_word(word, scale, corner, limit, least_visible) for word in scene.words]
    return TrainingScene(pixels=window, words=tuple(word for word in words if word is not None))


def move_word(
    word: AnnotatedWord,
    scale: float,
    corner_4: NDArray[np.float32],
    limit_4: NDArray[np.float32],
    least_visible: float = LEAST_VISIBLE,
) -> AnnotatedWord | None:
    """Return the word in the window's pixels; without its text if too small or too much cut; None if outside."""
    scaled = scale_word(word, scale)
    whole = scaled.box_4 - corner_4
    box = np.clip(whole, 0, limit_4)
    size, full = box[2:] - box[:2], whole[2:] - whole[:2]
    if size.min() < 2:
        return None
    visible = size.prod() / max(1e-6, full.prod())
    readable = word.word is not None and visible >= least_visible and size.min() >= SMALLEST_TEXT_PX
    outline = scaled.outline_62 if visible >= WHOLE else None
    return AnnotatedWord(
        word=word.word if readable else None,
        box_4=box.astype(np.float32),
        outline_62=None if outline is None else outline - corner_4[:2],
    )


def batch_scenes(scenes: Sequence[TrainingScene]) -> SceneBatch:
    """Return scenes of one size as tensors."""
    return SceneBatch(
        images_B3HW=torch.from_numpy(np.stack([s.pixels for s in scenes])).permute(0, 3, 1, 2),
        boxes=[stack_boxes([w for w in s.words if w.word is not None]) for s in scenes],
        words=[[w.word for w in s.words if w.word is not None] for s in scenes],
        outlines=[stack_outlines([w for w in s.words if w.word is not None]) for s in scenes],
        ignored=[stack_boxes([w for w in s.words if w.word is None]) for s in scenes],
    )


def stack_boxes(words: Sequence[AnnotatedWord]) -> Tensor:
    """Return (N, 4) float boxes; (0, 4) when there is none."""
    return torch.from_numpy(np.stack([w.box_4 for w in words])) if words else torch.zeros(0, 4)


def stack_outlines(words: Sequence[AnnotatedWord]) -> Tensor:
    """Return (N, 6, 2) outlines, NaN where they are not known; (0, 6, 2) when there is no word."""
    unknown = np.full((6, 2), np.nan, np.float32)
    outlines = [unknown if w.outline_62 is None else w.outline_62 for w in words]
    return torch.from_numpy(np.stack(outlines)) if words else torch.zeros(0, 6, 2)
