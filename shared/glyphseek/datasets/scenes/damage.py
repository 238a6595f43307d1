"""What cameras and files do to a picture: light, blur, low resolution, noise, JPEG; and things in front of the text."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import simplejpeg

from glyphseek.datasets.scenes.colours import draw_colour
from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.types import FloatArray, RgbImage

NOISE_SIDE = 1400
"""Pictures of this size and above get no noise: the noise is cut from one square of this side."""


def cover(rng: np.random.Generator, picture: RgbImage) -> None:
    """Draw one thing in front of the picture, in place: a pole, a wire, a twig or a blob."""
    height, width = picture.shape[:2]
    colour = draw_colour(rng)
    if chance(rng, 0.7):
        start = (int(between(rng, 0, width)), -2) if chance(rng, 0.7) else (-2, int(between(rng, 0, height)))
        end = (int(start[0] + between(rng, -0.3, 0.3) * width), height + 2)
        if start[0] < 0:
            end = (width + 2, int(start[1] + between(rng, -0.5, 0.5) * height))
        cv2.line(picture, start, end, colour, max(1, int(between(rng, 0.01, 0.1) * height)), cv2.LINE_AA)
        return
    centre = (int(between(rng, 0, width)), int(between(rng, 0, height)))
    axes = (max(1, int(between(rng, 0.05, 0.2) * height)), max(1, int(between(rng, 0.05, 0.35) * height)))
    cv2.ellipse(picture, centre, axes, between(rng, 0, 180), 0, 360, colour, -1, cv2.LINE_AA)


def light(rng: np.random.Generator, picture: RgbImage) -> RgbImage:
    """Return the picture under other light: exposure, contrast, cast, shade, sometimes night or glare."""
    height, width = picture.shape[:2]
    gain = between(rng, 0.75, 1.2) if chance(rng, 0.85) else between(rng, 0.35, 0.75)
    cast = np.array([between(rng, 0.88, 1.1), between(rng, 0.95, 1.05), between(rng, 0.85, 1.1)], np.float32) * gain
    flat = between(rng, 0, 50) if chance(rng, 0.3) else 0.0
    curves = np.arange(256, dtype=np.float32)[:, None] * cast * np.float32(1 - flat / 255)
    curves += np.float32(flat * between(rng, 0.3, 1.2))
    shaded, glaring = chance(rng, 0.3), chance(rng, 0.06)
    if not shaded and not glaring:
        return cv2.LUT(picture, np.minimum(curves, 255).astype(np.uint8)[None]).astype(np.uint8, copy=False)
    values = cv2.LUT(picture, curves[None])
    if shaded:
        values *= _ramp(rng, height, width, between(rng, 0.4, 0.9), 1.1)
    if glaring:
        values += _spot(rng, height, width)[:, :, None] * np.float32(between(rng, 50, 170))
    return np.clip(values, 0, 255).astype(np.uint8)


def draw_blur(rng: np.random.Generator, most: float) -> float:
    """Return a blur of up to `most` pixels, small ones likelier; 0 where it would not show."""
    size = most * rng.random() ** 2
    return 0.0 if size < 0.3 else size


def blur(rng: np.random.Generator, picture: RgbImage, size: float) -> RgbImage:
    """Return the picture out of focus (a sigma of `size` pixels) or shaken (a streak of 2.5 sizes)."""
    if size == 0:
        return picture
    if chance(rng, 0.7):
        return cv2.GaussianBlur(picture, (0, 0), size).astype(np.uint8, copy=False)
    return cv2.filter2D(picture, -1, _streak(2.5 * size, between(rng, 0, np.pi))).astype(np.uint8, copy=False)


def add_noise(rng: np.random.Generator, picture: RgbImage, most: float) -> RgbImage:
    """Return the picture with sensor noise of a deviation up to `most`, fine or coarse, grey or coloured."""
    deviation = most * rng.random() ** 2
    height, width = picture.shape[:2]
    if deviation < 1 or max(height, width) >= NOISE_SIDE:
        return picture
    grain = _noise_tile(chance(rng, 0.6))
    top, left = int(rng.random() * (grain.shape[0] - height)), int(rng.random() * (grain.shape[1] - width))
    channels = grain[top : top + height, left : left + width]
    if chance(rng, 0.4):
        channels = cv2.merge([channels[:, :, 0]] * 3)
    noisy = cv2.addWeighted(picture, 1, channels, deviation, 0, dtype=cv2.CV_8U)
    return noisy.astype(np.uint8, copy=False)


def through_jpeg(picture: RgbImage, quality: int) -> RgbImage:
    """Return the picture as a JPEG file of that quality shows it."""
    return simplejpeg.decode_jpeg(encode_jpeg(picture, quality))


def encode_jpeg(picture: RgbImage, quality: int) -> bytes:
    """Return the picture as a JPEG file with halved colour, as cameras write it."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=quality, colorsubsampling="420")


def sharpen(picture: RgbImage, amount: float) -> RgbImage:
    """Return the picture with the bright and dark rims that phone cameras add to edges."""
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0).astype(np.uint8, copy=False)


def bloom(picture: RgbImage, strength: float, reach: float) -> RgbImage:
    """Return the picture with light spilling from its brightest parts, as from lit letters; `reach` is in pixels."""
    bright = cv2.subtract(picture, np.full_like(picture, 150))
    spill = cv2.GaussianBlur(bright, (0, 0), reach)
    return cv2.addWeighted(picture, 1.0, spill, strength, 0).astype(np.uint8, copy=False)


def fade(picture: RgbImage, share: float) -> RgbImage:
    """Return the picture with that share of its colour taken away."""
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(picture, 1 - share, grey, share, 0).astype(np.uint8, copy=False)


def draw_quality(rng: np.random.Generator) -> int:
    """Return a JPEG quality, mostly 40 to 95."""
    return int(between(rng, 40, 95)) if chance(rng, 0.85) else int(between(rng, 12, 40))


def _ramp(rng: np.random.Generator, height: int, width: int, low: float, high: float) -> FloatArray:
    """Return (height, width, 1) factors that fall from high to low in a random direction, softly or at an edge."""
    angle, steep = between(rng, 0, 2 * np.pi), pick(rng, (1.0, 1.5, 12.0))
    across = np.linspace(-0.7, 0.7, width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    down = np.linspace(-0.7, 0.7, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    share = np.clip((across + down + np.float32(between(rng, -0.3, 0.3))) * np.float32(steep) + 0.5, 0, 1)
    return (low + (high - low) * share)[:, :, None].astype(np.float32, copy=False)


def _spot(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return a soft bright spot, (height, width) in [0, 1]."""
    reach = between(rng, 0.15, 0.6) * max(height, width)
    xs = np.arange(width, dtype=np.float32)[None, :] - np.float32(between(rng, 0, width))
    ys = np.arange(height, dtype=np.float32)[:, None] - np.float32(between(rng, 0, height))
    return np.exp(-(xs * xs + ys * ys) / np.float32(reach * reach)).astype(np.float32, copy=False)


def _streak(length: float, angle: float) -> FloatArray:
    """Return the kernel of a straight motion."""
    side = max(3, 2 * int(length / 2 + 0.5) + 1)
    kernel = np.zeros((side, side), np.float32)
    middle, reach = (side - 1) / 2, length / 2
    along = np.linspace(-reach, reach, 2 * side)
    xs = np.clip(np.rint(middle + along * np.cos(angle)), 0, side - 1).astype(int)
    ys = np.clip(np.rint(middle + along * np.sin(angle)), 0, side - 1).astype(int)
    np.add.at(kernel, (ys, xs), 1)
    return kernel / kernel.sum()


@lru_cache(maxsize=2)
def _noise_tile(coarse: bool) -> FloatArray:
    """Return a square of normal noise, always the same: drawing it anew costs more than all else in a crop."""
    fine = np.random.default_rng(int(coarse)).standard_normal((NOISE_SIDE, NOISE_SIDE, 3), dtype=np.float32)
    if not coarse:
        return fine
    soft = cv2.GaussianBlur(fine, (0, 0), 0.9)
    return (soft / soft.std()).astype(np.float32, copy=False)
