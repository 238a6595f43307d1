"""The plate under a text: paint, surface, rim and the shadow it throws."""

from __future__ import annotations

import cv2
import numpy as np

from glyphseek.datasets.scenes.colours import draw_colour, scaled
from glyphseek.datasets.scenes.dice import between, chance
from glyphseek.datasets.scenes.textures import draw_texture
from glyphseek.types import FloatArray, RgbImage

_SUBPIXEL_BITS = 4


def lay_plate(rng: np.random.Generator, picture: RgbImage, outline_N2: FloatArray, rim: float) -> None:
    """Draw a plate with that outline (picture pixels) in place; `rim` is the width of a border where it has one."""
    if chance(rng, 0.3):
        _throw_shadow(picture, outline_N2 + np.float32(rim * between(rng, 0.2, 1)))
    points = [as_fixed(outline_N2)]
    if chance(rng, 0.3):
        _fill_textured(rng, picture, outline_N2)
    else:
        colour = draw_colour(rng)
        cv2.fillPoly(picture, points, colour, cv2.LINE_AA, _SUBPIXEL_BITS)
        if chance(rng, 0.35):
            _shade(rng, picture, outline_N2)
    if chance(rng, 0.45):
        cv2.polylines(picture, points, True, draw_colour(rng), max(1, round(rim)), cv2.LINE_AA, _SUBPIXEL_BITS)
    if chance(rng, 0.15):
        inner = outline_N2 + (outline_N2.mean(axis=0) - outline_N2) * np.float32(0.04)
        colour = scaled(draw_colour(rng), 0.8)
        cv2.polylines(picture, [as_fixed(inner)], True, colour, max(1, round(rim / 3)), cv2.LINE_AA, _SUBPIXEL_BITS)


def as_fixed(points_N2: FloatArray) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Return points in the fixed-point form of cv2's polygon functions with 4 bits of fraction."""
    return np.rint(points_N2 * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _window(picture: RgbImage, points_N2: FloatArray, margin: int = 0) -> tuple[RgbImage, FloatArray] | None:
    """Return the part of the picture around points and the points in it; None where they lie outside."""
    height, width = picture.shape[:2]
    left, top = (max(0, int(value) - margin) for value in points_N2.min(axis=0))
    right, bottom = (int(value) + margin + 1 for value in points_N2.max(axis=0))
    view = picture[top : min(height, bottom), left : min(width, right)]
    return (view, points_N2 - np.array([left, top], np.float32)) if view.size else None


def _mask(view: RgbImage, points_N2: FloatArray) -> FloatArray:
    mask = np.zeros(view.shape[:2], np.uint8)
    cv2.fillPoly(mask, [as_fixed(points_N2)], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask[:, :, None].astype(np.float32) / np.float32(255)


def _fill_textured(rng: np.random.Generator, picture: RgbImage, outline_N2: FloatArray) -> None:
    if (found := _window(picture, outline_N2)) is not None:
        view, points = found
        base = view.astype(np.float32)
        base += (draw_texture(rng, *view.shape[:2]).astype(np.float32) - base) * _mask(view, points)
        view[:] = base.astype(np.uint8)


def _shade(rng: np.random.Generator, picture: RgbImage, outline_N2: FloatArray) -> None:
    """Let light fall off along the plate."""
    if (found := _window(picture, outline_N2)) is not None:
        view, points = found
        ramp = np.linspace(between(rng, 0.6, 1), between(rng, 0.8, 1.1), view.shape[1], dtype=np.float32)[None, :, None]
        factor = 1 + (ramp - 1) * _mask(view, points)
        view[:] = np.minimum(view * factor, 255).astype(np.uint8)


def _throw_shadow(picture: RgbImage, outline_N2: FloatArray) -> None:
    if (found := _window(picture, outline_N2, 6)) is not None:
        view, points = found
        share = cv2.GaussianBlur(_mask(view, points), (0, 0), 2.5)
        view[:] = (view * (1 - 0.55 * np.atleast_3d(share))).astype(np.uint8)
