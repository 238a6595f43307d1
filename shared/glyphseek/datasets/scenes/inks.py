"""How letters look: fill, outline, shadow, depth, glow, and putting them on a picture.

All lengths of an `Ink` are shares of the text height, so one ink looks the same at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from glyphseek.datasets.scenes.colours import Colour, draw_colour, draw_ink, scaled
from glyphseek.datasets.scenes.dice import between, chance
from glyphseek.datasets.scenes.glyphs import Mask
from glyphseek.datasets.scenes.textures import draw_texture, gradient
from glyphseek.types import RgbImage

Fill = Literal["flat", "gradient", "texture", "hollow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """The looks of one piece of text; None or 0 leaves an effect out."""

    colour: Colour
    fill: Fill = "flat"
    second: Colour | None = None
    """The other end of a gradient."""
    opacity: float = 1.0
    weight: float = 0.0
    """Thickens (positive) or thins the strokes by that length."""
    outline: Colour | None = None
    outline_width: float = 0.0
    shadow: Colour | None = None
    shadow_offset: tuple[float, float] = (0.0, 0.0)
    shadow_blur: float = 0.0
    depth: Colour | None = None
    depth_offset: tuple[float, float] = (0.0, 0.0)
    glow: Colour | None = None
    emboss: float = 0.0
    wear: float = 0.0
    """Share of the fill that has flaked off."""


def draw_looks(rng: np.random.Generator, surface: Colour, variation: float = 0.0) -> Ink:
    """Return random looks that can be read on a surface of that mean colour; most text is plainly filled.

    The more the surface varies (deviation of its values), the stronger the contrast and the more often an outline.
    """
    colour = draw_ink(rng, surface, variation)
    throw = rng.random()
    fill: Fill = "flat" if throw < 0.78 else "gradient" if throw < 0.9 else "texture" if throw < 0.97 else "hollow"
    outlined = fill == "hollow" or chance(rng, 0.12 + min(0.3, variation / 150))
    shadowed, deep, glowing = chance(rng, 0.16), chance(rng, 0.09), chance(rng, 0.04)
    side = 1 if chance(rng, 0.7) else -1
    return Ink(
        colour=colour,
        fill=fill,
        second=scaled(colour, between(rng, 0.4, 1.6)) if chance(rng, 0.7) else draw_ink(rng, surface),
        opacity=between(rng, 0.6, 1) if chance(rng, 0.12) else 1.0,
        weight=between(rng, -0.02, 0.05) if chance(rng, 0.2) else 0.0,
        outline=(draw_ink(rng, colour) if fill != "hollow" else colour) if outlined else None,
        outline_width=between(rng, 0.025, 0.1),
        shadow=scaled(surface, between(rng, 0, 0.6)) if shadowed else None,
        shadow_offset=(side * between(rng, 0.02, 0.15), between(rng, -0.02, 0.15)),
        shadow_blur=between(rng, 0.01, 0.12) if chance(rng, 0.6) else 0.0,
        depth=(scaled(colour, between(rng, 0.25, 0.75)) if chance(rng, 0.7) else draw_colour(rng)) if deep else None,
        depth_offset=(side * between(rng, 0.03, 0.2), between(rng, -0.1, 0.2)),
        glow=colour if glowing else None,
        emboss=between(rng, 0.3, 1) if chance(rng, 0.06) else 0.0,
        wear=between(rng, 0.05, 0.3) if chance(rng, 0.05) else 0.0,
    )


def measure(picture: RgbImage, alpha: Mask) -> tuple[Colour, float]:
    """Return the mean colour of a picture where a mask has ink, and the deviation of its values there."""
    means, deviations = (np.asarray(found, np.float64).ravel() for found in cv2.meanStdDev(picture, mask=alpha))
    return (float(means[0]), float(means[1]), float(means[2])), float(deviations.mean())


def paint(picture: RgbImage, alpha: Mask, ink: Ink, height: float, rng: np.random.Generator) -> None:
    """Put text on the picture in place. `alpha` covers the picture; `height` is the text height in pixels."""
    body = _weighted(alpha, ink.weight * height)
    if ink.glow is not None:
        _lay(picture, _blurred(_grown(body, 0.06 * height), 0.15 * height + 0.5), ink.glow, 0.8)
    if ink.shadow is not None:
        _lay(picture, _cast(body, ink, height), ink.shadow, 0.75)
    if ink.depth is not None:
        _lay(picture, _extruded(body, ink.depth_offset, height), ink.depth, 1.0)
    if ink.outline is not None:
        around = _grown(body, ink.outline_width * height)
        _lay(picture, around - np.minimum(around, body) if ink.fill == "hollow" else around, ink.outline, 1.0)
    if ink.fill == "hollow":
        return
    if ink.wear:
        body = _worn(body, ink.wear, rng)
    _fill(picture, body, ink, rng)
    if ink.emboss:
        _emboss(picture, body, ink.emboss, height)


def _fill(picture: RgbImage, body: Mask, ink: Ink, rng: np.random.Generator) -> None:
    match ink.fill:
        case "gradient" if ink.second is not None:
            _lay_picture(
                picture, body, gradient(rng, body.shape[0], body.shape[1], ink.colour, ink.second), ink.opacity
            )
        case "texture":
            grain = cv2.addWeighted(
                draw_texture(rng, body.shape[0], body.shape[1]), 0.3, _flat(body, ink.colour), 0.7, 0
            )
            _lay_picture(picture, body, grain.astype(np.uint8, copy=False), ink.opacity)
        case _:
            _lay(picture, body, ink.colour, ink.opacity)


def _lay(picture: RgbImage, alpha: Mask, colour: Colour, opacity: float) -> None:
    """Blend one colour into the picture where alpha says."""
    share = alpha.astype(np.float32)[:, :, None] * np.float32(opacity / 255)
    base = picture.astype(np.float32)
    base += (np.array(colour, np.float32) - base) * share
    picture[:] = base.astype(np.uint8)


def _lay_picture(picture: RgbImage, alpha: Mask, over: RgbImage, opacity: float) -> None:
    share = alpha.astype(np.float32)[:, :, None] * np.float32(opacity / 255)
    base = picture.astype(np.float32)
    base += (over.astype(np.float32) - base) * share
    picture[:] = base.astype(np.uint8)


def _flat(mask: Mask, colour: Colour) -> RgbImage:
    return np.broadcast_to(np.array(colour, np.float32).astype(np.uint8), (*mask.shape, 3)).copy()


def _weighted(alpha: Mask, pixels: float) -> Mask:
    if pixels > 0.3:
        return _grown(alpha, pixels)
    if pixels < -0.3:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        return cv2.erode(alpha, kernel).astype(np.uint8, copy=False)
    return alpha


def _grown(alpha: Mask, pixels: float) -> Mask:
    """Return the mask widened by about that many pixels on every side."""
    side = 2 * max(1, round(pixels)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(alpha, kernel).astype(np.uint8, copy=False)


def _moved(alpha: Mask, x: float, y: float) -> Mask:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(alpha, matrix, (alpha.shape[1], alpha.shape[0])).astype(np.uint8, copy=False)


def _cast(body: Mask, ink: Ink, height: float) -> Mask:
    shadow = _moved(body, ink.shadow_offset[0] * height, ink.shadow_offset[1] * height)
    return _blurred(shadow, ink.shadow_blur * height) if ink.shadow_blur * height > 0.3 else shadow


def _blurred(alpha: Mask, sigma: float) -> Mask:
    return cv2.GaussianBlur(alpha, (0, 0), sigma).astype(np.uint8, copy=False)


def _extruded(body: Mask, offset: tuple[float, float], height: float) -> Mask:
    """Return the union of the mask moved step by step along the offset."""
    x, y = offset[0] * height, offset[1] * height
    steps = max(1, min(10, round(max(abs(x), abs(y)))))
    union = body.copy()
    for step in range(1, steps + 1):
        np.maximum(union, _moved(body, x * step / steps, y * step / steps), out=union)
    return union


def _emboss(picture: RgbImage, body: Mask, strength: float, height: float) -> None:
    """Lighten edges that face the top left and darken the others."""
    soft = cv2.GaussianBlur(body, (0, 0), 0.03 * height + 0.5).astype(np.float32)
    slope = cv2.filter2D(soft, -1, np.array([[1, 1, 0], [1, 0, -1], [0, -1, -1]], np.float32) * -0.35)
    lit = picture.astype(np.float32) + slope[:, :, None] * np.float32(strength)
    picture[:] = np.clip(lit, 0, 255).astype(np.uint8)


def _worn(body: Mask, share: float, rng: np.random.Generator) -> Mask:
    rows, columns = body.shape
    flakes = rng.random((rows // 3 + 1, columns // 3 + 1), dtype=np.float32)
    flakes = cv2.resize(flakes, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.where(flakes < share, 0, body).astype(np.uint8)
