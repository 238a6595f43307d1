"""Colours of paint and print: pairs that can be read, from faint to strong."""

from __future__ import annotations

import colorsys

import numpy as np

from glyphseek.datasets.scenes.dice import between, chance, pick

Colour = tuple[float, float, float]
"""Red, green, blue in [0, 255]."""

SIGN_COLOURS: tuple[Colour, ...] = (
    (250, 250, 250), (250, 250, 250), (250, 250, 250), (15, 15, 18), (15, 15, 18), (200, 20, 30), (20, 60, 150),
    (0, 105, 60), (250, 205, 20), (240, 120, 20), (90, 20, 20), (20, 30, 70), (120, 120, 120), (230, 220, 190),
    (90, 60, 35), (190, 150, 60), (100, 170, 220), (225, 60, 130), (90, 40, 120), (130, 190, 60),
)  # fmt: skip


def draw_colour(rng: np.random.Generator) -> Colour:
    """Return a colour of a painted or natural surface: sign paint, a grey, or any hue, more often dull than bright."""
    throw = rng.random()
    if throw < 0.4:
        return _shifted(rng, pick(rng, SIGN_COLOURS), 22)
    if throw < 0.6:
        grey = between(rng, 10, 250)
        return _shifted(rng, (grey, grey, grey), 12)
    saturation = between(rng, 0, 1) ** 1.3
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), saturation, between(rng, 0.15, 1))
    return red * 255, green * 255, blue * 255


def draw_ink(rng: np.random.Generator, surface: Colour, variation: float = 0.0) -> Colour:
    """Return a colour that can be told from `surface`: luminance apart by a drawn least contrast.

    The least contrast grows with the deviation of the surface, so that text on leaves is as readable as on paint.
    """
    least = min(150.0, (28.0 if chance(rng, 0.1) else between(rng, 45, 130)) + variation)
    for _ in range(16):
        ink = draw_colour(rng)
        if abs(luminance(ink) - luminance(surface)) >= least:
            return ink
    return (245, 245, 245) if luminance(surface) < 128 else (15, 15, 15)


def luminance(colour: Colour) -> float:
    """Return the perceived brightness, [0, 255]."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor below 1) or lighter colour."""
    return min(255.0, colour[0] * factor), min(255.0, colour[1] * factor), min(255.0, colour[2] * factor)


def _shifted(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = (min(255.0, max(0.0, value + between(rng, -spread, spread))) for value in colour)
    return red, green, blue
