"""Random shapes of text: letter spacing, bent baselines, and the plane that text is seen on."""

from __future__ import annotations

from math import radians

import numpy as np

from glyphseek.datasets.scenes.dice import between, chance
from glyphseek.datasets.scenes.geometry import Bend, Matrix, rotation, scaling, shear, tilt
from glyphseek.datasets.scenes.glyphs import Spacing


def draw_spacing(rng: np.random.Generator, *, downwards: bool = False) -> Spacing:
    """Return letter spacing: mostly the font's own, else from touching to wide, rarely with dancing letters."""
    if downwards:
        return Spacing(downwards=True)
    throw = rng.random()
    letters = 0.0 if throw < 0.6 else between(rng, -0.06, 0.08) if throw < 0.8 else between(rng, 0.05, 0.5)
    return Spacing(
        letters=letters, words=between(rng, -0.1, 0.5), bounce=between(rng, 0.02, 0.12) if chance(rng, 0.03) else 0.0
    )


def draw_bend(rng: np.random.Generator, wide: float, tall: float, curved: float, waved: float) -> Bend:
    """Return a bend for a word of that ink size. Short words get no arc: it would not show."""
    throw = rng.random()
    if throw < curved and wide > 1.5 * tall:
        span = radians(between(rng, 20, 150))
        radius = max(wide / span, 0.75 * tall)
        return Bend(radius=radius if chance(rng, 0.7) else -radius)
    if curved <= throw < curved + waved:
        return Bend(
            amplitude=between(rng, 0.08, 0.3) * tall,
            wavelength=between(rng, 0.6, 2) * max(wide, 2 * tall),
            phase=between(rng, 0, 6.28),
        )
    return Bend()


def draw_matrix(rng: np.random.Generator, wide: float, tall: float, tilted: float) -> Matrix:
    """Return the view of a word of that ink size: stretched, slanted, turned, tilted; the scale stays near 1."""
    stretch = float(np.exp(rng.normal(0, 0.22)))
    matrix = scaling(stretch**0.5, stretch**-0.5)
    if chance(rng, 0.2):
        matrix = shear(float(rng.normal(0, 0.2))) @ matrix
    if chance(rng, tilted):
        extent = max(wide, tall)
        matrix = (
            tilt(float(np.clip(rng.normal(0, 0.22), -0.6, 0.6)), float(np.clip(rng.normal(0, 0.15), -0.5, 0.5)), extent)
            @ matrix
        )
        matrix = np.array([[1, 0, 0], [between(rng, -0.15, 0.15), 1, 0], [0, 0, 1]]) @ matrix
    return rotation(draw_angle(rng)) @ matrix


def draw_angle(rng: np.random.Generator) -> float:
    """Return a rotation in degrees: mostly within a few, 1 in 5 up to 20, 1 in 11 up to 45, 1 in 125 upright."""
    throw = rng.random()
    if throw < 0.70:
        return float(rng.normal(0, 3))
    if throw < 0.90:
        return between(rng, -20, 20)
    if throw < 0.992:
        return between(rng, -45, 45)
    return (90 if chance(rng, 0.4) else -90) + float(rng.normal(0, 5))
