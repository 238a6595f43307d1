"""Whole photos with words on them, and where each word is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from glyphseek.datasets.scenes import damage
from glyphseek.datasets.scenes.backgrounds import Backgrounds
from glyphseek.datasets.scenes.bends import draw_matrix
from glyphseek.datasets.scenes.clutter import add_thing, draw_backdrop
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.geometry import Matrix, frame_points, project, rotation, scaling, translation
from glyphseek.datasets.scenes.glyphs import Box, Mask, letter_height
from glyphseek.datasets.scenes.inks import Ink, draw_looks, measure, paint
from glyphseek.datasets.scenes.plates import lay_plate
from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.datasets.scenes.supports import Run, Support, SupportMaker
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.types import FloatArray, RgbImage

ILLEGIBLE = "###"
"""The transcription of a word that is there but cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneItem:
    """One word: its transcription and the polygon around its ink, (k, 2) pixels, clockwise from its top left corner.

    Straight words have 4 points, bent ones 14; half of them run along the top, the others back along the bottom.
    """

    text: str
    polygon: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A rendered photo, (height, width, 3), and its words in the order in which they were painted."""

    image: RgbImage
    items: tuple[SceneItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRenderer:
    """Draws scenes; all that varies comes from the generator given to `render`."""

    fonts: FontBook
    words: WordSource
    backgrounds: Backgrounds = field(default_factory=Backgrounds)
    settings: SceneSettings = field(default_factory=SceneSettings)

    def render(self, rng: np.random.Generator, width: int = 640, height: int = 480) -> Scene:
        """Return a scene of that size; the same generator state gives the same bytes. Words never overlap."""
        picture = draw_backdrop(rng, height, width, self.backgrounds)
        placed = self._place(rng, height, width)
        items: list[SceneItem] = []
        for support, matrix in placed:
            items.extend(_paint_support(rng, picture, support, matrix, self.settings.legible_contrast))
        covered = self._cover(rng, picture)
        image, blur = self._photograph(rng, picture)
        judged = (self._judge(item, covered, blur, (height, width)) for item in items)
        return Scene(image=image, items=tuple(item for item in judged if item is not None))

    def _place(self, rng: np.random.Generator, height: int, width: int) -> list[tuple[Support, Matrix]]:
        """Return supports and where they stand; their boxes do not overlap."""
        maker = SupportMaker(fonts=self.fonts, words=self.words)
        taken: list[Box] = []
        placed: list[tuple[Support, Matrix]] = []
        spread = self.settings.most - self.settings.fewest + 1
        count = 0 if chance(rng, self.settings.empty) else self.settings.fewest + int(spread * rng.random() ** 1.4)
        for _ in range(count):
            share = float(np.exp(between(rng, np.log(self.settings.narrowest), np.log(self.settings.widest))))
            is_badge = self.settings.badges > 0 and chance(rng, self.settings.badges)
            is_seal = self.settings.seals > 0 and chance(rng, self.settings.seals)
            draw = maker.seal if is_seal else maker.badge if is_badge else maker.draw
            support = draw(rng, share * width, min(0.8 * height, share * width * 1.2))
            left, top, right, bottom = support.bounds
            if right <= left or bottom <= top:
                continue  # a face that draws nothing for its words
            for _ in range(8):
                matrix, box = self._stand(rng, support, height, width)
                if all(_are_apart(box, other) for other in taken):
                    taken.append(box)
                    placed.append((support, matrix))
                    break
        return placed

    def _stand(self, rng: np.random.Generator, support: Support, height: int, width: int) -> tuple[Matrix, Box]:
        """Return a random view of the support in the picture, and the box that it takes up there."""
        left, top, right, bottom = support.bounds
        view = draw_matrix(rng, right - left, bottom - top, self.settings.tilted)
        if self.settings.turned > 0 and chance(rng, self.settings.turned):
            view = rotation(between(rng, -self.settings.most_turned, self.settings.most_turned)) @ view
        frame = frame_points(support.bounds, 2)
        points = project(view, frame)
        extent = points.max(axis=0) - points.min(axis=0)
        shrink = min(1.0, 0.97 * width / float(extent[0]), 0.97 * height / float(extent[1]))
        low, high = points.min(axis=0) * shrink, points.max(axis=0) * shrink
        over = 0.3 if chance(rng, self.settings.cut) else 0.0
        x = between(rng, -over, 1 + over) * (width - float(high[0] - low[0])) - float(low[0])
        y = between(rng, -over, 1 + over) * (height - float(high[1] - low[1])) - float(low[1])
        box = (float(low[0]) + x, float(low[1]) + y, float(high[0]) + x, float(high[1]) + y)
        return translation(x, y) @ scaling(shrink, shrink) @ view, box

    def _cover(self, rng: np.random.Generator, picture: RgbImage) -> Mask | None:
        """Put things in front of the scene, in place; return what they cover, None for nothing."""
        if not chance(rng, self.settings.covered):
            return None
        before = picture.copy()
        for _ in range(pick(rng, (1, 1, 2, 3))):
            (add_thing if chance(rng, 0.2) else damage.cover)(rng, picture)
        return (_difference(before, picture) > 0).astype(np.uint8)

    def _photograph(self, rng: np.random.Generator, picture: RgbImage) -> tuple[RgbImage, float]:
        """Return the picture as a camera took it, and the blur in pixels."""
        height, width = picture.shape[:2]
        if chance(rng, 0.35):
            picture = damage.fade(picture, between(rng, 0.1, 0.8))
        picture = damage.light(rng, picture)
        if chance(rng, 0.1):
            picture = damage.bloom(picture, between(rng, 1, 3), between(rng, 1, 6))
        size = damage.draw_blur(rng, 2.0)
        picture = damage.blur(rng, picture, size)
        if chance(rng, 0.15):
            scale = between(rng, 0.4, 0.9)
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
            size += 0.5 / scale
        if chance(rng, 0.2):
            picture = damage.sharpen(picture, between(rng, 0.3, 1.2))
        picture = damage.add_noise(rng, picture, 12)
        if chance(rng, 0.5):
            picture = damage.through_jpeg(picture, damage.draw_quality(rng))
        return picture, size

    def _judge(self, item: SceneItem, covered: Mask | None, blur: float, shape: tuple[int, int]) -> SceneItem | None:
        """Return the item cut to the picture, marked illegible where it is; None where next to nothing is inside."""
        share = _visible_share(item.polygon, covered, shape)
        if share < 0.1:
            return None
        bounds = np.array([shape[1], shape[0]], np.float32)
        polygon = np.clip(item.polygon, 0, bounds)
        low = _letter_height(item.text, item.polygon) < max(self.settings.legible_height, 4 * blur)
        hidden = share < self.settings.legible_share
        return SceneItem(text=ILLEGIBLE if low or hidden else item.text, polygon=polygon)


def _paint_support(
    rng: np.random.Generator, picture: RgbImage, support: Support, matrix: Matrix, contrast: float
) -> list[SceneItem]:
    """Paint a support in place and return its words, marked illegible where they hardly show.

    Half of the supports have one look for all their runs.
    """
    if support.outline is not None:
        outline = project(matrix, support.outline)
        rim = 0.03 * float(np.ptp(outline, axis=0).min())
        lay_plate(rng, picture, outline, rim)
    if support.inner is not None:
        inner = project(matrix, support.inner)
        lay_plate(rng, picture, inner, 0.03 * float(np.ptp(inner, axis=0).min()))
    before = picture.copy()
    same, ink = chance(rng, 0.5), None
    items: list[SceneItem] = []
    for flat in support.runs:
        run = flat.followed_by(matrix)
        polygons = list(run.outlines())
        ink = _paint_run(rng, picture, run, polygons, ink if same else None) or ink
        items += [SceneItem(text=text, polygon=polygon) for text, polygon in zip(run.texts, polygons, strict=True)]
    return [item if _change(before, picture, item.polygon) >= contrast else _unread(item) for item in items]


def _paint_run(
    rng: np.random.Generator, picture: RgbImage, run: Run, polygons: Sequence[FloatArray], ink: Ink | None
) -> Ink | None:
    """Paint one run in place; without an ink a fitting one is drawn. Return the ink, None where nothing is inside."""
    height = max(
        2.0, float(np.mean([_letter_height(text, polygon) for text, polygon in zip(run.texts, polygons, strict=True)]))
    )
    points = np.concatenate(polygons)
    margin = int(0.35 * height) + 3
    left, top = (max(0, int(value) - margin) for value in points.min(axis=0))
    right, bottom = (max(0, int(value) + margin) for value in points.max(axis=0))
    view = picture[top:bottom, left:right]
    if view.size == 0:
        return None
    alpha = run.warp.followed_by(translation(-left, -top)).place(run.block.mask, run.origin, *view.shape[:2])
    chosen = ink or draw_looks(rng, *measure(view, alpha))
    paint(view, alpha, chosen, height, rng)
    return chosen


def _unread(item: SceneItem) -> SceneItem:
    return SceneItem(text=ILLEGIBLE, polygon=item.polygon)


def _change(before: RgbImage, after: RgbImage, polygon: FloatArray) -> float:
    """Return how much the strongest strokes of a word changed the picture; what lies outside of it counts as enough."""
    left, top = (max(0, int(value)) for value in polygon.min(axis=0))
    right, bottom = (max(0, int(value) + 1) for value in polygon.max(axis=0))
    view, earlier = after[top:bottom, left:right], before[top:bottom, left:right]
    if not view.size:
        return 255.0
    changes = _difference(earlier, view).ravel()
    place = int(0.97 * (changes.size - 1))
    return float(np.partition(changes, place)[place])


def _difference(before: RgbImage, after: RgbImage) -> Mask:
    """Return by how much each pixel's most changed channel changed."""
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    return cv2.max(cv2.max(red, green), blue).astype(np.uint8, copy=False)


def _letter_height(text: str, polygon: FloatArray) -> float:
    """Return the mean distance between the upper and lower edge of a word, of a letter for letters below each other."""
    half = len(polygon) // 2
    tall = float(np.linalg.norm(polygon[:half] - polygon[: half - 1 : -1], axis=1).mean())
    wide = float(np.linalg.norm(np.diff(polygon[:half], axis=0), axis=1).sum())
    return letter_height(wide, tall, text)


def _visible_share(polygon: FloatArray, covered: Mask | None, shape: tuple[int, int]) -> float:
    """Return which share of a polygon is inside the picture and not covered."""
    low, high = np.floor(polygon.min(axis=0)).astype(int), np.ceil(polygon.max(axis=0)).astype(int) + 1
    inside = bool(low.min() >= 0 and high[0] <= shape[1] and high[1] <= shape[0])
    if covered is None and inside:
        return 1.0
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(shape[1], int(high[0])), min(shape[0], int(high[1]))
    if right <= left or bottom <= top:
        return 0.0
    whole = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    cv2.fillPoly(whole, [np.rint(polygon - low).astype(np.int32)], 1)
    part = whole[top - low[1] : bottom - low[1], left - low[0] : right - low[0]]
    hidden = 0 if covered is None else int((part & covered[top:bottom, left:right]).sum())
    return (int(part.sum()) - hidden) / max(1, int(whole.sum()))


def _are_apart(first: Box, second: Box) -> bool:
    return first[2] < second[0] or second[2] < first[0] or first[3] < second[1] or second[3] < first[1]
