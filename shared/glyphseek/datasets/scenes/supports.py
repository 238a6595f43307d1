"""What text hangs on: signs, shop fronts, posters, plates, badges, letters on the bare wall; laid out flat.

A support has its own plane: origin in its middle, x right, y down, lengths in picture pixels before perspective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from glyphseek.datasets.scenes.bends import draw_bend, draw_spacing
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.datasets.scenes.fonts import Face, FontBook
from glyphseek.datasets.scenes.geometry import Bend, Matrix, Warp, bounds_of, frames_points, scaling, translation
from glyphseek.datasets.scenes.glyphs import Block, Box, Spacing, draw_block
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.types import FloatArray

DRAWN_SIZES = (12, 16, 20, 26, 34, 44, 58, 76, 100, 130)
"""Letters are drawn at the next larger of these and scaled down, so that few font sizes are loaded."""

Lines = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Text of one face and look. `warp` leads from flat text (origin: mask pixel `origin`) to the support's plane."""

    texts: tuple[str, ...]
    block: Block
    origin: tuple[float, float]
    warp: Warp

    def outlines(self) -> FloatArray:
        """Return the frames of its words on the plane, (words, points, 2): 4 points each when straight, else 14.

        Points go clockwise from the top left.
        """
        steps = 1 if self.warp.bend.is_straight else 6
        frames = frames_points(np.array(self.block.boxes) - np.tile(self.origin, 2), steps)
        return self.warp.apply(frames.reshape(-1, 2)).reshape(frames.shape)

    def bounds(self) -> Box:
        """Return the box of all its ink on the plane."""
        return bounds_of(self.outlines().reshape(-1, 2))

    def block_height(self) -> float:
        """Return how high its ink is on the plane before it is bent."""
        boxes = np.array(self.block.boxes)
        return float(boxes[:, 3].max() - boxes[:, 1].min()) * float(self.warp.matrix[0, 0])

    def followed_by(self, matrix: Matrix) -> Run:
        """Return the run moved on its plane, or to another plane."""
        return Run(texts=self.texts, block=self.block, origin=self.origin, warp=self.warp.followed_by(matrix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Runs of text on one plane; `outline` is the plate below them (n points), None for text on the bare scene.

    `inner` is a smaller plate upon it.
    """

    runs: tuple[Run, ...]
    outline: FloatArray | None
    bounds: Box
    inner: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportMaker:
    """Lays out random supports about `width` pixels wide."""

    fonts: FontBook
    words: WordSource

    def draw(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a support at most `width` wide and about `highest` high."""
        return pick(rng, _KINDS)(self, rng, width, highest)

    def sign(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a plate with one to three lines, and often smaller ones below."""
        counts = [pick(rng, (1, 1, 1, 2, 2, 3)) for _ in range(pick(rng, (1, 1, 1, 2, 2, 3)))]
        runs = [self._run(rng, self._phrases(rng, counts), width, highest / (len(counts) + 1))]
        if chance(rng, 0.45):
            runs.append(
                self._run(rng, self._phrases(rng, [pick(rng, (1, 2, 3))]), width * between(rng, 0.5, 1), highest / 6)
            )
        return _stacked(rng, runs, plated=True)

    def front(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a shop front: one huge word or name, maybe a line below."""
        runs = [self._run(rng, self._phrases(rng, [pick(rng, (1, 1, 2))]), width, highest * 0.6, bent=0.25)]
        if chance(rng, 0.5):
            runs.append(
                self._run(rng, self._phrases(rng, [pick(rng, (2, 3, 4))]), width * between(rng, 0.4, 0.9), highest / 6)
            )
        return _stacked(rng, runs, plated=chance(rng, 0.6))

    def poster(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a headline and a paragraph of small text."""
        width = min(width, highest)
        head = self._run(rng, self._phrases(rng, [1 + int(rng.random() * 2)]), width, highest * 0.3)
        counts = [2 + int(rng.random() * 4) for _ in range(2 + int(rng.random() * 5))]
        lines = [[self.words.draw_plain(rng) for _ in range(count)] for count in counts]
        body = self._run(rng, lines, width * between(rng, 0.7, 1), highest * 0.07, bent=0, plain=True)
        return _stacked(rng, [head, body], plated=chance(rng, 0.85))

    def plate(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a small plate with one word or number."""
        return _stacked(
            rng, [self._run(rng, [[self.words.draw(rng)]], width * 0.5, highest * 0.4, bent=0.05)], plated=True
        )

    def bare(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return letters on the wall, one or two lines, straight or bent."""
        counts = [pick(rng, (1, 1, 2, 3)) for _ in range(pick(rng, (1, 1, 2)))]
        return _stacked(rng, [self._run(rng, self._phrases(rng, counts), width, highest * 0.5, bent=0.3)], plated=False)

    def tower(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return an upright sign, its letters below each other."""
        word = self.words.draw(rng)[:9]
        em = min(width / 3, highest / (len(word) + 1))
        face = self.fonts.draw(rng, word)
        return _stacked(rng, [_set(rng, face, [[word]], em, Spacing(downwards=True), Bend())], plated=True)

    def badge(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a round badge: text along its upper rim, maybe along the lower rim and across the middle."""
        radius = min(width, highest) * between(rng, 0.25, 0.45)
        runs = [self._rim(rng, radius, 1, count=pick(rng, (1, 2, 2, 3)), sweep=(1.2, 2.5))]
        if chance(rng, 0.55):
            runs.append(self._rim(rng, radius, -1, count=pick(rng, (1, 2, 2, 3)), sweep=(1.2, 2.5)))
        if chance(rng, 0.6):
            runs.append(self._run(rng, self._phrases(rng, [1]), radius * 1.15, radius * 0.6, bent=0))
        return _round(runs, radius, plated=chance(rng, 0.7))

    def seal(self, rng: np.random.Generator, width: float, highest: float) -> Support:
        """Return a round seal: words along most of its rim, those at its sides run up and down; maybe lines inside."""
        radius = min(width, highest) * between(rng, 0.28, 0.48)
        around = between(rng, 2.2, 5.4)
        runs = [self._rim(rng, radius, 1, count=pick(rng, (2, 3, 3, 4, 5)), sweep=(around, around))]
        left = 2 * pi - 0.7 - around
        if left > 0.8 and chance(rng, 0.75):
            runs.append(self._rim(rng, radius, -1, count=pick(rng, (1, 1, 2, 3)), sweep=(0.6 * left, left)))
        highest_run = max(run.block_height() for run in runs)
        if chance(rng, 0.6):
            counts = [1] * pick(rng, (1, 1, 2, 3))
            runs.append(self._run(rng, self._phrases(rng, counts), radius * 1.1, radius * 0.5 / len(counts), bent=0))
        plated = chance(rng, 0.8)
        return _round(
            runs, radius, plated=plated, inner=radius - 0.6 * highest_run if plated and chance(rng, 0.5) else None
        )

    def _rim(
        self, rng: np.random.Generator, radius: float, side: int, *, count: int, sweep: tuple[float, float]
    ) -> Run:
        """Return `count` words along the upper (side 1) or lower (-1) rim of a circle around the origin.

        They take an angle drawn from `sweep`, in radians, or less where their letters would be too high.
        """
        face, lines = self._letter(rng, self._phrases(rng, [count]))
        spacing = Spacing(letters=between(rng, 0, 0.25))
        em = min(radius * 0.42, radius * between(rng, *sweep) / _ems(face, lines, spacing))
        bend = Bend(radius=side * radius)
        return _set(rng, face, lines, em, spacing, bend).followed_by(translation(0, -side * radius))

    def _run(
        self,
        rng: np.random.Generator,
        lines: Lines,
        width: float,
        highest: float,
        *,
        bent: float = 0.1,
        plain: bool = False,
    ) -> Run:
        """Return lines set as wide as asked for, or as high (`highest` for one line) where that is less."""
        face, lines = self._letter(rng, lines)
        spacing = Spacing() if plain else draw_spacing(rng)
        em = min(width / _ems(face, lines, spacing), highest * 1.3)
        straight = _set(rng, face, lines, em, spacing, Bend())
        left, top, right, bottom = straight.bounds()
        bend = draw_bend(rng, right - left, bottom - top, bent, bent / 8) if bent and len(lines) == 1 else Bend()
        if bend.is_straight:
            return straight
        return Run(texts=straight.texts, block=straight.block, origin=straight.origin, warp=_bent(straight.warp, bend))

    def _letter(self, rng: np.random.Generator, lines: Lines) -> tuple[Face, list[list[str]]]:
        """Return a face for the lines, and them in the case it is set in."""
        face = self.fonts.draw(rng, "".join(word for line in lines for word in line))
        return face, [[face.set_case(word) for word in line] for line in lines]

    def _phrases(self, rng: np.random.Generator, counts: Sequence[int]) -> list[list[str]]:
        """Return lines of that many words; mostly all of one case, as on one sign."""
        lines = [[self.words.draw(rng) for _ in range(count)] for count in counts]
        throw = rng.random()
        if throw < 0.45:
            return [[word.upper() for word in line] for line in lines]
        if throw < 0.65:
            return [[word[:1].upper() + word[1:].lower() for word in line] for line in lines]
        return lines


def _bent(warp: Warp, bend: Bend) -> Warp:
    """Return a straight scaling warp with a bend whose lengths, given on the plane, become mask pixels."""
    scale = float(warp.matrix[0, 0])
    radius = None if bend.radius is None else bend.radius / scale
    return Warp(
        bend=Bend(
            radius=radius, amplitude=bend.amplitude / scale, wavelength=bend.wavelength / scale, phase=bend.phase
        ),
        matrix=warp.matrix,
    )


def _ems(face: Face, lines: Lines, spacing: Spacing) -> float:
    """Return the width of the widest line in ems."""
    font = face.at(34)
    widths = [font.getlength(" ".join(line)) / 34 + spacing.letters * len(" ".join(line)) for line in lines]
    return max(0.3, *widths)


def _set(rng: np.random.Generator, face: Face, lines: Lines, em: float, spacing: Spacing, bend: Bend) -> Run:
    """Return the lines drawn for `em` plane pixels; the bend is given on the plane."""
    size = next((size for size in DRAWN_SIZES if size >= em), DRAWN_SIZES[-1])
    leading, align = between(rng, 0.95, 1.4), pick(rng, (0.0, 0.5, 0.5, 0.5, 1.0))
    block = draw_block(face.at(size), lines, spacing, leading, align, rng)
    boxes = np.array(block.boxes)
    origin = float(boxes[:, 0].min() + boxes[:, 2].max()) / 2, float(boxes[:, 1].min() + boxes[:, 3].max()) / 2
    straight = Warp(bend=Bend(), matrix=scaling(em / size, em / size))
    texts = tuple(word for line in lines for word in line)
    return Run(texts=texts, block=block, origin=origin, warp=_bent(straight, bend))


def _stacked(rng: np.random.Generator, runs: Sequence[Run], *, plated: bool) -> Support:
    """Return the runs below each other around the origin, with a plate around them where asked for."""
    placed: list[Run] = []
    y = 0.0
    for run in runs:
        left, top, right, bottom = run.bounds()
        placed.append(run.followed_by(translation(-(left + right) / 2, y - top)))
        y += bottom - top + between(rng, 0.25, 0.7) * min(bottom - top, 40)
    boxes = np.array([run.bounds() for run in placed])
    middle = float(boxes[:, 1].min() + boxes[:, 3].max()) / 2
    placed = [run.followed_by(translation(0, -middle)) for run in placed]
    wide, tall = float((boxes[:, 2] - boxes[:, 0]).max()) / 2, float(boxes[:, 3].max() - boxes[:, 1].min()) / 2
    pad_x, pad_y = (
        (between(rng, 0.15, 0.8) * min(tall, 60), between(rng, 0.15, 0.7) * min(tall, 60)) if plated else (1.0, 1.0)
    )
    bounds = (-wide - pad_x, -tall - pad_y, wide + pad_x, tall + pad_y)
    if not plated:
        return Support(runs=tuple(placed), outline=None, bounds=bounds)
    outline = _plate(rng, bounds)
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    return Support(runs=tuple(placed), outline=outline, bounds=(float(left), float(top), float(right), float(bottom)))


def _round(runs: Sequence[Run], radius: float, *, plated: bool, inner: float | None = None) -> Support:
    """Return runs along a circle around the origin; with a round plate, and one of radius `inner`, where asked for."""
    reach = radius + max(-runs[0].bounds()[1] - radius, 0) + 0.12 * radius
    angles = np.linspace(0, 2 * pi, 48, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Support(
        runs=tuple(runs),
        outline=(reach * circle).astype(np.float32) if plated else None,
        bounds=(-reach, -reach, reach, reach),
        inner=None if inner is None else (inner * circle).astype(np.float32),
    )


def _plate(rng: np.random.Generator, bounds: Box) -> FloatArray:
    """Return a rectangle, sometimes with round corners or as a pointed arrow."""
    left, top, right, bottom = bounds
    throw = rng.random()
    if throw < 0.65:
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    middle, point = (top + bottom) / 2, (bottom - top) / 2
    if throw < 0.7:
        return np.array(
            [[left, top], [right, top], [right + point, middle], [right, bottom], [left, bottom]], np.float32
        )
    corner = min(right - left, bottom - top) * between(rng, 0.1, 0.5)
    angles = np.linspace(0, pi / 2, 6)
    centres = ((right, bottom, 0), (left, bottom, 1), (left, top, 2), (right, top, 3))
    points = [
        (x + corner * (np.cos(a + k * pi / 2) - np.sign(x)), y + corner * (np.sin(a + k * pi / 2) - np.sign(y)))
        for x, y, k in centres
        for a in angles
    ]
    return np.array(points, np.float32)


_KINDS: tuple[Callable[[SupportMaker, np.random.Generator, float, float], Support], ...] = (
    SupportMaker.sign, SupportMaker.sign, SupportMaker.sign, SupportMaker.front, SupportMaker.front,
    SupportMaker.poster, SupportMaker.plate, SupportMaker.bare, SupportMaker.bare, SupportMaker.badge,
    SupportMaker.badge, SupportMaker.sign, SupportMaker.plate, SupportMaker.bare, SupportMaker.tower,
)  # fmt: skip
