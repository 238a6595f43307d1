"""Things in a scene that carry no text but look a little like it: windows, fences, hatching, barcodes, pictograms."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from glyphseek.datasets.scenes.backgrounds import Backgrounds
from glyphseek.datasets.scenes.colours import draw_colour, scaled
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.types import RgbImage


def draw_backdrop(rng: np.random.Generator, height: int, width: int, backgrounds: Backgrounds) -> RgbImage:
    """Return a scene without text: a surface or photo, often with walls, ground and things on it."""
    picture = backgrounds.draw(rng, height, width, whole=True)
    if chance(rng, 0.5):
        for _ in range(1 + int(rng.random() * 3)):
            _add_part(rng, picture, backgrounds)
    for _ in range(int(rng.random() * 5)):
        add_thing(rng, picture)
    return picture


def add_thing(rng: np.random.Generator, picture: RgbImage) -> None:
    """Draw one thing without text at a random place, in place."""
    height, width = picture.shape[:2]
    tall, wide = int(between(rng, 0.05, 0.5) * height), int(between(rng, 0.05, 0.5) * width)
    top, left = int(rng.random() * (height - tall)), int(rng.random() * (width - wide))
    pick(rng, _THINGS)(rng, picture[top : top + tall, left : left + wide])


def _add_part(rng: np.random.Generator, picture: RgbImage, backgrounds: Backgrounds) -> None:
    """Put another surface over a band or a slanted quarter of the picture: a wall, a street, the sky."""
    height, width = picture.shape[:2]
    tall, wide = int(between(rng, 0.15, 0.8) * height), int(between(rng, 0.2, 1) * width)
    top, left = pick(rng, (0, height - tall)), pick(rng, (0, width - wide, int(rng.random() * (width - wide + 1))))
    view = picture[top : top + tall, left : left + wide]
    mask = np.zeros((tall, wide), np.uint8)
    slant = between(rng, -0.3, 0.3) * tall if chance(rng, 0.5) else 0.0
    corners = np.array([[0, max(0, slant)], [wide, max(0, -slant)], [wide, tall], [0, tall]])
    cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
    cv2.copyTo(backgrounds.draw(rng, tall, wide), mask, view)


def _windows(rng: np.random.Generator, view: RgbImage) -> None:
    height, width = view.shape[:2]
    step_y, step_x = max(6, int(between(rng, 0.15, 0.6) * height)), max(6, int(between(rng, 0.1, 0.5) * width))
    colour, share = scaled(draw_colour(rng), 0.6), between(rng, 0.4, 0.8)
    for y in range(0, height, step_y):
        for x in range(0, width, step_x):
            lit = scaled(colour, between(rng, 0.7, 1.3))
            cv2.rectangle(view, (x, y), (x + int(step_x * share), y + int(step_y * share)), lit, -1)


def _bars(rng: np.random.Generator, view: RgbImage) -> None:
    """Draw a fence or blind: even bars, upright or lying."""
    height, width = view.shape[:2]
    colour, step = draw_colour(rng), max(3, int(between(rng, 4, 24)))
    thick = max(1, int(step * between(rng, 0.1, 0.5)))
    if chance(rng, 0.6):
        for x in range(0, width, step):
            cv2.line(view, (x, 0), (x, height), colour, thick, cv2.LINE_AA)
    else:
        for y in range(0, height, step):
            cv2.line(view, (0, y), (width, y), colour, thick, cv2.LINE_AA)


def _hatch(rng: np.random.Generator, view: RgbImage) -> None:
    height, width = view.shape[:2]
    colour, step, lean = draw_colour(rng), max(4, int(between(rng, 5, 30))), int(between(rng, -1, 1) * height)
    for x in range(-abs(lean), width + abs(lean), step):
        cv2.line(view, (x, 0), (x + lean, height), colour, max(1, step // 5), cv2.LINE_AA)


def _barcode(rng: np.random.Generator, view: RgbImage) -> None:
    side = min(view.shape[1], max(20, view.shape[0] * 2))
    view[:, :side] = 240
    widths = np.cumsum(1 + (rng.random(side) * 4).astype(int))
    for start, end in zip(widths[:-1:2], widths[1::2], strict=False):
        view[2:-2, start : min(end, side - 2)] = 20


def _pictogram(rng: np.random.Generator, view: RgbImage) -> None:
    """Draw a few overlapping circles, triangles, rings or arrows."""
    height, width = view.shape[:2]
    for _ in range(pick(rng, (1, 1, 2, 3, 5))):
        centre = (int(rng.random() * width), int(rng.random() * height))
        radius = max(2, int(between(rng, 0.1, 0.5) * min(height, width)))
        thick = -1 if chance(rng, 0.5) else max(1, radius // 5)
        if chance(rng, 0.5):
            cv2.circle(view, centre, radius, draw_colour(rng), thick, cv2.LINE_AA)
        else:
            angles = between(rng, 0, 6.28) + np.sort(rng.random(pick(rng, (3, 4, 5)))) * 6.28
            points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius + centre
            cv2.fillPoly(view, [points.astype(np.int32)], draw_colour(rng), cv2.LINE_AA)


def _dots(rng: np.random.Generator, view: RgbImage) -> None:
    """Draw even rows of small shapes: lamps, rivets, buttons, fruit."""
    height, width = view.shape[:2]
    step = max(5, int(between(rng, 6, 40)))
    radius, colour = max(1, int(step * between(rng, 0.15, 0.45))), draw_colour(rng)
    rows = range(step // 2, height, step) if chance(rng, 0.5) else (height // 2,)
    for y in rows:
        for x in range(step // 2, width, step):
            cv2.circle(view, (x, y), radius, colour, -1, cv2.LINE_AA)


def _wires(rng: np.random.Generator, view: RgbImage) -> None:
    height, width = view.shape[:2]
    for _ in range(1 + int(rng.random() * 4)):
        xs = np.linspace(0, width, 12)
        sag = between(rng, -0.3, 0.6) * height * (1 - (2 * xs / width - 1) ** 2)
        ys = np.linspace(rng.random() * height, rng.random() * height, 12) + sag
        points = np.stack([xs, ys], axis=1).astype(np.int32)
        cv2.polylines(view, [points], False, draw_colour(rng), max(1, int(between(rng, 1, 5))), cv2.LINE_AA)


_THINGS: tuple[Callable[[np.random.Generator, RgbImage], None], ...] = (
    _windows, _windows, _windows, _bars, _bars, _hatch, _barcode, _pictogram, _pictogram, _dots, _wires, _wires,
)  # fmt: skip
