"""Single words as a recogniser sees them: the box of a word in a photo, stretched to a fixed size."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from glyphseek.datasets.scenes import damage
from glyphseek.datasets.scenes.backgrounds import Backgrounds
from glyphseek.datasets.scenes.bends import draw_bend, draw_matrix, draw_spacing
from glyphseek.datasets.scenes.colours import draw_colour
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.geometry import Warp, frame_points, project, scaling, translation
from glyphseek.datasets.scenes.glyphs import Block, Box, draw_block, letter_height
from glyphseek.datasets.scenes.inks import draw_looks, measure, paint
from glyphseek.datasets.scenes.settings import CropSettings
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.types import FloatArray, RgbImage

EM = 40
"""Pixels per em of drawn letters; capitals are about 28 pixels high."""

LARGEST_SIDE = 288
"""Working pictures are at most this wide or high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWord:
    """A word's box as a detector cuts it from a photo: its pixels (rows, columns, 3), not stretched, and its text.

    `outline_62` is where the word runs in it: start, middle and end of its upper edge, then of its lower one.
    """

    pixels: RgbImage
    text: str
    outline_62: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRenderer:
    """Draws word crops with their transcriptions; all that varies comes from the generator given to `render`."""

    fonts: FontBook
    words: WordSource
    backgrounds: Backgrounds = field(default_factory=Backgrounds)
    settings: CropSettings = field(default_factory=CropSettings)

    def render(self, rng: np.random.Generator, height: int = 40, width: int = 128) -> tuple[RgbImage, str]:
        """Return a (height, width, 3) crop and the word in it as drawn; the same generator state, the same bytes."""
        seen = self.see(rng)
        return stretch(seen.pixels, height, width), seen.text

    def see(self, rng: np.random.Generator) -> SeenWord:
        """Return a word as a camera sees it; the same generator state, the same bytes."""
        while True:
            word = self.words.draw(rng)
            lines, place = self._surround(rng, word)
            text = "".join(part for line in lines for part in line)
            face = self.fonts.draw(rng, text)
            lines, word = [[face.set_case(part) for part in line] for line in lines], face.set_case(word)
            spacing = draw_spacing(
                rng, downwards=len(lines) == 1 and 1 < len(word) < 9 and chance(rng, self.settings.downwards)
            )
            block = draw_block(
                face.at(EM), lines, spacing, between(rng, 0.8, 1.5), pick(rng, (0.0, 0.5, 0.5, 1.0)), rng
            )
            left, top, right, bottom = block.boxes[place]
            if right - left >= 2 and bottom - top >= 2:
                return self._photograph(rng, word, block, block.boxes[place])

    def _surround(self, rng: np.random.Generator, word: str) -> tuple[list[list[str]], int]:
        """Return lines of words around `word`, and its place in reading order."""
        if not chance(rng, self.settings.neighbours):
            return [[word]], 0
        before = [self.words.draw(rng)] if chance(rng, 0.4) else []
        after = [self.words.draw(rng)] if chance(rng, 0.4) else []
        above = [[self.words.draw(rng)]] if chance(rng, 0.35) else []
        below = [[self.words.draw(rng)]] if chance(rng, 0.35) else []
        return [*above, [*before, word, *after], *below], len(above) + len(before)

    def _photograph(self, rng: np.random.Generator, word: str, block: Block, box: Box) -> SeenWord:
        """Return the box around one word of the block."""
        warp, rows, columns = self._aim(rng, box)
        origin = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        alpha = warp.place(block.mask, origin, rows, columns)
        text_height = max(4.0, min(rows, letter_height(box[2] - box[0], box[3] - box[1], word) * _scale_of(warp)))
        picture = self.backgrounds.draw(rng, rows, columns)
        if chance(rng, self.settings.panels):
            _lay_panel(rng, picture, warp, box)
        paint(picture, alpha, draw_looks(rng, *measure(picture, alpha)), text_height, rng)
        if chance(rng, self.settings.covered):
            damage.cover(rng, picture)
        seen = self._wear(rng, picture, text_height)
        wide, tall = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
        corners = np.array([[x, y] for y in (-tall, tall) for x in (-wide, 0.0, wide)], np.float32)
        shrunk = np.array([seen.shape[1] / columns, seen.shape[0] / rows], np.float32)
        return SeenWord(pixels=seen, text=word, outline_62=warp.apply(corners) * shrunk)

    def _aim(self, rng: np.random.Generator, box: Box) -> tuple[Warp, int, int]:
        """Return a warp from flat text to a working picture that is the jittered box of the word, and its size."""
        wide, tall = box[2] - box[0], box[3] - box[1]
        bend = draw_bend(rng, wide, tall, self.settings.curved, self.settings.waved)
        warp = Warp(bend=bend, matrix=draw_matrix(rng, wide, tall, self.settings.tilted))
        points = warp.apply(frame_points((-wide / 2, -tall / 2, wide / 2, tall / 2), 12))
        low, high = points.min(axis=0), points.max(axis=0)
        size = high - low
        error = self.settings.misplacement if chance(rng, self.settings.misplaced) else 1.0
        first, last = low - self._slack(rng, size, error), high + self._slack(rng, size, error)
        scale = min(1.0, LARGEST_SIDE / float((last - first).max()))
        columns, rows = (max(8, int(side * scale)) for side in (last - first))
        fit = scaling(columns / float(last[0] - first[0]), rows / float(last[1] - first[1]))
        return warp.followed_by(fit @ translation(-float(first[0]), -float(first[1]))), rows, columns

    def _slack(self, rng: np.random.Generator, size: FloatArray, error: float) -> FloatArray:
        """Return how far the box reaches beyond the word on x and y; negative where it cuts. Ends of long words are cut
        by a part of a letter at most. `error` multiplies both."""
        inside = error * np.minimum(self.settings.tight * size, 2 * self.settings.tight * size.min())
        outside = error * np.minimum(self.settings.loose * size, 4 * self.settings.loose * size.min())
        return (-inside + (inside + outside) * rng.random(2)).astype(np.float32)

    def _wear(self, rng: np.random.Generator, picture: RgbImage, text_height: float) -> RgbImage:
        """Return the picture as a camera at a random distance took it."""
        rows, columns = picture.shape[:2]
        low, high = np.log(self.settings.lowest_height), np.log(self.settings.highest_height)
        scale = min(1.0, float(np.exp(between(rng, low, high))) / text_height)
        if chance(rng, 0.35):
            picture = damage.fade(picture, between(rng, 0.1, 0.8))
        picture = damage.light(rng, picture)
        if chance(rng, 0.12):
            picture = damage.bloom(picture, between(rng, 1, 4), between(rng, 0.05, 0.25) * text_height)
        seen = max(5, round(columns * scale)), max(5, round(rows * scale))
        if scale < 1:
            picture = np.asarray(cv2.resize(picture, seen, interpolation=cv2.INTER_AREA), np.uint8)
        picture = damage.blur(rng, picture, damage.draw_blur(rng, min(2.5, 0.065 * text_height * scale)))
        if chance(rng, 0.2):
            picture = damage.sharpen(picture, between(rng, 0.3, 1.5))
        picture = damage.add_noise(rng, picture, min(14.0, 3 + 0.3 * text_height * scale))
        if chance(rng, 0.6):
            picture = damage.through_jpeg(
                picture, damage.draw_quality(rng) if text_height * scale > 20 else int(between(rng, 50, 96))
            )
        return picture


def stretch(pixels: RgbImage, height: int, width: int) -> RgbImage:
    """Return pixels at another size."""
    shrinks = pixels.shape[0] > height and pixels.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.uint8)


def _lay_panel(rng: np.random.Generator, picture: RgbImage, warp: Warp, box: Box) -> None:
    """Put a plate behind the text, in place: its straight frame follows the text's perspective, not its bend."""
    wide, tall = box[2] - box[0], box[3] - box[1]
    side, above, below = between(rng, 0.1, 1.5) * tall, between(rng, 0.1, 1.2) * tall, between(rng, 0.1, 1.2) * tall
    bent = warp.bend.apply(frame_points((-wide / 2, -tall / 2, wide / 2, tall / 2), 8))
    left, top = bent.min(axis=0) - np.array([side, above])
    right, bottom = bent.max(axis=0) + np.array([side, below])
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    outline = [np.rint(project(warp.matrix, corners) * 16).astype(np.int32)]
    cv2.fillPoly(picture, outline, draw_colour(rng), cv2.LINE_AA, 4)
    if chance(rng, 0.4):
        cv2.polylines(
            picture, outline, True, draw_colour(rng), max(1, int(between(rng, 0.03, 0.15) * tall)), cv2.LINE_AA, 4
        )


def _scale_of(warp: Warp) -> float:
    """Return how much lengths grow near the origin."""
    middle, right, below = project(warp.matrix, np.array([[0, 0], [4, 0], [0, 4]], np.float32))
    (a, c), (b, d) = right - middle, below - middle
    return float(np.sqrt(abs(a * d - b * c))) / 4
