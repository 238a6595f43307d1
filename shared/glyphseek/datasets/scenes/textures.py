"""Procedural surfaces: what stands behind text when no photo does, and what fills panels and letters.

Every function returns a (height, width, 3) uint8 picture; colours are RGB triples in [0, 255].
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from glyphseek.datasets.scenes.colours import Colour, draw_colour
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.types import FloatArray, RgbImage


def draw_texture(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return a random surface: plain, shaded, stained, brick, plank, stripe, tile, metal or leaves."""
    return pick(rng, _TEXTURES)(rng, height, width)


def plain(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return one colour."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.array(draw_colour(rng)).astype(np.uint8)
    return picture


def shaded(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return a straight gradient between two colours of one hue."""
    first = draw_colour(rng)
    second = tuple(min(255.0, max(0.0, value + between(rng, -70, 70))) for value in first)
    return gradient(rng, height, width, first, (second[0], second[1], second[2]))


def gradient(rng: np.random.Generator, height: int, width: int, first: Colour, second: Colour) -> RgbImage:
    """Return a straight gradient in a random direction."""
    angle = between(rng, 0, 2 * np.pi)
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    return _blend(np.clip(across + down + np.float32(0.5), 0, 1).astype(np.float32, copy=False), first, second)


def stained(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return clouds of two colours, as on plaster, concrete or cloth."""
    first = draw_colour(rng)
    spread = between(rng, 10, 90)
    second = tuple(min(255.0, max(0.0, value + between(rng, -spread, spread))) for value in first)
    return _blend(clouds(rng, height, width), first, (second[0], second[1], second[2]))


def leaves(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return hard-edged blotches of three greens or browns, as of trees or gravel."""
    hue = draw_colour(rng) if chance(rng, 0.4) else (between(rng, 20, 110), between(rng, 50, 140), between(rng, 10, 70))
    coarse = clouds(rng, height, width, finest=5)
    dark = tuple(value * between(rng, 0.2, 0.6) for value in hue)
    picture = _blend(np.clip((coarse - 0.5) * 6 + 0.5, 0, 1), (dark[0], dark[1], dark[2]), hue)
    fine = clouds(rng, height, width, finest=3)
    picture[fine > 0.68] = np.uint8(min(255, max(hue) * 1.3))
    return picture


def bricks(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return rows of shifted bricks with joints."""
    tall = int(between(rng, 6, 40))
    long = int(tall * between(rng, 1.5, 3.2))
    joint = max(1, int(tall * between(rng, 0.05, 0.2)))
    return _courses(rng, height, width, tall, long, joint, shifted=True)


def tiles(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return a grid of tiles with joints."""
    tall = int(between(rng, 8, 70))
    return _courses(
        rng, height, width, tall, int(tall * between(rng, 0.8, 2)), int(between(rng, 1, 3.9)), shifted=False
    )


def planks(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return wood: grain along boards with dark gaps, lying or standing."""
    lying = chance(rng, 0.6)
    rows, columns = (height, width) if lying else (width, height)
    wood = (between(rng, 90, 210), between(rng, 60, 150), between(rng, 30, 100))
    grain = _stretched_noise(rng, rows, columns, 1.5, between(rng, 30, 90))
    board = int(between(rng, 14, 60))
    lines = np.arange(rows) % board
    shade = np.where(lines == 0, 0.35, 1.0).astype(np.float32) * between(rng, 0.9, 1.1)
    tone = np.repeat(rng.random(rows // board + 1, dtype=np.float32) * 0.25 + 0.8, board)[:rows]
    value = np.clip(grain * 0.35 + 0.75, 0, 1.3) * (shade * tone)[:, None]
    picture = np.clip(value[:, :, None] * np.array(wood, np.float32), 0, 255).astype(np.uint8)
    return picture if lying else np.ascontiguousarray(picture.transpose(1, 0, 2))


def metal(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return brushed metal with a soft reflection."""
    level = between(rng, 60, 210)
    brushed = _stretched_noise(rng, height, width, 1.0, between(rng, 20, 120)) - 0.5
    sheen = np.cos(np.linspace(0, between(rng, 2, 9), width, dtype=np.float32) + between(rng, 0, 6))
    grey = np.clip(level + brushed * between(rng, 10, 50) + sheen[None, :] * between(rng, 5, 40), 0, 255)
    tint = np.array([between(rng, 0.92, 1.05), 1.0, between(rng, 0.92, 1.08)], np.float32)
    return np.clip(grey[:, :, None] * tint, 0, 255).astype(np.uint8)


def stripes(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    """Return stripes of two colours in a random direction, hard or soft."""
    angle, period = between(rng, 0, np.pi), between(rng, 4, 50)
    across = np.arange(width, dtype=np.float32)[None, :] * np.float32(np.cos(angle) / period)
    down = np.arange(height, dtype=np.float32)[:, None] * np.float32(np.sin(angle) / period)
    wave = np.sin((across + down) * np.float32(2 * np.pi)) * np.float32(between(rng, 1, 8)) * 0.5 + 0.5
    return _blend(np.clip(wave, 0, 1), draw_colour(rng), draw_colour(rng))


def clouds(rng: np.random.Generator, height: int, width: int, finest: int = 4) -> FloatArray:
    """Return (height, width) smooth noise in [0, 1]: octaves down to `finest` pixels, added at half that size."""
    half = (width // 2 + 1, height // 2 + 1)
    total = np.zeros(half[::-1], np.float32)
    step, weight, weights = max(height, width) / between(rng, 1, 4), 1.0, 0.0
    while step >= finest:
        cells = rng.random((int(height / step) + 2, int(width / step) + 2), dtype=np.float32)
        total += cv2.resize(cells, half, interpolation=cv2.INTER_CUBIC) * np.float32(weight)
        weights += weight
        step, weight = step / 2.6, weight * 0.7
    share = np.clip(total / np.float32(max(weights, 1e-6)), 0, 1)
    return cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _stretched_noise(rng: np.random.Generator, height: int, width: int, short: float, long: float) -> FloatArray:
    cells = rng.random((int(height / short) + 1, int(width / long) + 2), dtype=np.float32)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _courses(
    rng: np.random.Generator, height: int, width: int, tall: int, long: int, joint: int, *, shifted: bool
) -> RgbImage:
    """Return blocks laid in rows: each of slightly another tone, with joints of their own colour."""
    spread = between(rng, 0.02, 0.4)
    block, mortar = np.array(draw_colour(rng), np.float32), np.array(draw_colour(rng)).astype(np.uint8)
    picture = np.empty((height, width, 3), np.uint8)
    for row, top in enumerate(range(0, height, tall)):
        xs = np.arange(width) + (row % 2 * (long // 2) if shifted else 0)
        tones = 1 - spread * rng.random(width // long + 2, dtype=np.float32)
        line = (tones[:, None] * block).astype(np.uint8)[xs // long]
        line[xs % long < joint] = mortar
        picture[top : top + tall] = line
        picture[top : top + joint] = mortar
    return picture


def _blend(share: FloatArray, first: Colour, second: Colour) -> RgbImage:
    """Return `first` where share is 0 and `second` where it is 1, in 256 steps."""
    colours = np.linspace(first, second, 256).astype(np.uint8)
    return cv2.applyColorMap(cv2.convertScaleAbs(share, alpha=255), colours[:, None]).astype(np.uint8, copy=False)


_TEXTURES: tuple[Callable[[np.random.Generator, int, int], RgbImage], ...] = (
    plain,
    plain,
    shaded,
    shaded,
    shaded,
    stained,
    stained,
    stained,
    leaves,
    bricks,
    tiles,
    planks,
    metal,
    stripes,
)
