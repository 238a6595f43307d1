"""Crops of words to read: rendered ones, and words of annotated photos cut as a detector would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from glyphseek.datasets.scenes.crops import CropRenderer, stretch
from glyphseek.models.tdsl.outlines import bounds, grown, is_bent, measure
from glyphseek.models.tdsl.pooling import sample_outlines
from glyphseek.models.tdsl.settings import TdslSettings
from glyphseek.training.annotated import AnnotatedPhoto, is_held_out_word, read_pixels, spell
from glyphseek.training.rendering import open_crop_renderer

Crop = tuple[NDArray[np.uint8], str]
"""(rows, columns, 3) RGB pixels of a word's box, and the word as the model spells it."""
RENDERED_BATCH = 64
SPREAD, MOST_CUT, MOST_ADDED = 0.045, -0.12, 0.3
"""How far the sides of a real word's box are moved outwards, as a share of it: `SPREAD` times Student's t with three
degrees of freedom, clipped. Errors of the detector on held-out photos have such tails: one in twenty of its left and
right sides is 0.64 of the text's height too far out, of its upper and lower ones 0.2; medians are about zero."""
BENT_BELOW = 0.8
"""A word whose outline covers less than this share of its box stands on an arc or a slope."""
LEVELLED = 0.8
"""Share of those that are made level, as the second look tells how they run."""
OUTLINE_SPREAD, MOST_OFF = 0.06, 0.3
"""How far the points of an outline are moved then: `OUTLINE_SPREAD` of the text's height times Student's t, clipped."""
CONTEXT = 0.6
"""Real crops are kept with this share of their height around them, so that the box can be jittered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levelling:
    """How words are cut, at `size`: as boxes grown by `margin`, or along outlines that are as far off as told ones.

    `outline_margin` is how far these grow; None cuts every word as its box.
    """

    size: tuple[int, int]
    margin: float
    outline_margin: float | None

    @classmethod
    def of(cls, preset: TdslSettings) -> Levelling:
        """Return how a preset cuts words: all as their boxes where it tells no outlines."""
        return cls(
            size=(preset.roi_rows, preset.roi_columns),
            margin=preset.roi_margin,
            outline_margin=preset.outline_margin if preset.tells_outlines else None,
        )

    def cut(
        self, pixels: NDArray[np.uint8], outline_62: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.uint8] | None:
        """Return the word made level, at the RoI's size; None where it is to be cut as its box."""
        outline_162 = torch.from_numpy(outline_62)[None]
        is_level = not is_bent(outline_162, bounds(outline_162), BENT_BELOW).item()
        if self.outline_margin is None or is_level or rng.random() >= LEVELLED:
            return None
        _, height_1 = measure(outline_162)
        off = (OUTLINE_SPREAD * rng.standard_t(3, (6, 2))).clip(-MOST_OFF, MOST_OFF) * float(height_1)
        moved_162 = outline_162 + torch.from_numpy(off).float()
        picture_3HW = torch.from_numpy(pixels).permute(2, 0, 1).float()
        seen_3RC = sample_outlines(picture_3HW, grown(moved_162, self.outline_margin), self.size)[0]
        return np.asarray(seen_3RC.round().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def make_crops(
    rows: int, columns: int, backgrounds: Path | None, seed: int, *, levelling: Levelling | None = None
) -> Callable[[], list[Crop]]:
    """Return a function that renders a batch of crops at every call; runs in a renderer process."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    renderer = open_crop_renderer(backgrounds)
    return lambda: render_crops(renderer, rng, rows, columns, levelling)


def render_crops(
    renderer: CropRenderer, rng: np.random.Generator, rows: int, columns: int, levelling: Levelling | None = None
) -> list[Crop]:
    """Return `RENDERED_BATCH` crops of words that are not held out."""
    crops: list[Crop] = []
    while len(crops) < RENDERED_BATCH:
        seen = renderer.see(rng)
        word = spell(seen.text)
        if word is not None and not is_held_out_word(word):
            level = None if levelling is None else levelling.cut(seen.pixels, seen.outline_62, rng)
            crops.append((stretch(seen.pixels, rows, columns) if level is None else level, word))
    return crops


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPatch:
    """A real word with some of its surroundings: its box in the patch and how it runs there, in pixels.

    Without an outline it is cut as its box.
    """

    pixels: NDArray[np.uint8]
    box_4: NDArray[np.float32]
    word: str
    outline_62: NDArray[np.float32] | None = None

    def jittered(self, levelling: Levelling, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the word at the RoI's size, along its outline or as its box, misplaced as by the model."""
        level = None if self.outline_62 is None else levelling.cut(self.pixels, self.outline_62, rng)
        if level is not None:
            return level
        left, top, right, bottom = self.box_4
        width, height = right - left, bottom - top
        sides = np.minimum((width, height), 2 * height)[[0, 1, 0, 1]]
        shift = (SPREAD * rng.standard_t(3, 4)).clip(MOST_CUT, MOST_ADDED) * sides
        box = self.box_4 + np.array([-1, -1, 1, 1]) * (levelling.margin * height + shift)
        return sample_box(self.pixels, box, *levelling.size)


def sample_box(pixels: NDArray[np.uint8], box_4: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the box stretched to (rows, columns, 3); outside the pixels the border is repeated."""
    height, width = pixels.shape[:2]
    left, top = max(0, int(np.floor(box_4[0]))), max(0, int(np.floor(box_4[1])))
    right, bottom = min(width, int(np.ceil(box_4[2]))), min(height, int(np.ceil(box_4[3])))
    cut = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    way = cv2.INTER_AREA if cut.shape[0] > rows and cut.shape[1] > columns else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=way), np.uint8)


def cut_words(photo: AnnotatedPhoto) -> list[WordPatch]:
    """Return the legible words of a photo that are at least 8 pixels high. Raises ImageUnreadable."""
    image = read_pixels(photo.path)
    patches: list[WordPatch] = []
    for region in photo.words:
        left, top, right, bottom = region.box_4
        around = CONTEXT * (bottom - top)
        if region.word is None or bottom - top < 8 or right - left < 4:
            continue
        corner = np.maximum(0, np.floor([left - around, top - around])).astype(int)
        end = np.ceil([right + around, bottom + around]).astype(int)
        pixels = image[corner[1] : end[1], corner[0] : end[0]].copy()
        if min(pixels.shape[:2]) >= 4:
            box = region.box_4 - np.tile(corner, 2).astype(np.float32)
            outline = None if region.outline_62 is None else region.outline_62 - corner.astype(np.float32)
            patches.append(WordPatch(pixels=pixels, box_4=box, word=region.word, outline_62=outline))
    return patches
