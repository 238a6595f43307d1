"""What stands behind the text: parts of photos that carry none, or procedural surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glyphseek.datasets.scenes.dice import between, chance, pick
from glyphseek.datasets.scenes.textures import draw_texture
from glyphseek.errors import ImageUnreadable
from glyphseek.types import RgbImage

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
Avoided = NDArray[np.float32]
"""(n, 4) left, top, right, bottom in pixels: parts of a photo that show text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo to cut backgrounds from, and the boxes in it that must stay out of them."""

    image: RgbImage
    avoid: Avoided = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backgrounds:
    """Photos to cut from; without any, all surfaces are procedural."""

    photos: tuple[Photo, ...] = ()
    photo_share: float = 0.6
    """Share of backgrounds cut from photos, when there are any."""

    @classmethod
    def load(cls, folder: Path, *, limit: int = 400, longest_side: int = 512) -> Backgrounds:
        """Return the first `limit` photos of a folder by name, made smaller where the longer side is above the bound.

        Raises ImageUnreadable for a damaged photo.
        """
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)[:limit]
        return cls(photos=tuple(Photo(image=_read_photo(path, longest_side)) for path in paths))

    def draw(self, rng: np.random.Generator, height: int, width: int, *, whole: bool = False) -> RgbImage:
        """Return a (height, width, 3) background without known text, a fresh writable array.

        Photos give a window of any size, with `whole` one nearly as large as fits, so that things keep their scale.
        """
        if self.photos and chance(rng, self.photo_share):
            patch = _cut(rng, pick(rng, self.photos), height, width, 0.75 if whole else 0.11)
            if patch is not None:
                return patch
        return draw_texture(rng, height, width)


def _cut(rng: np.random.Generator, photo: Photo, height: int, width: int, least: float) -> RgbImage | None:
    """Return a window of at least that share of the largest, resized; None when ten tries all touch text."""
    rows, columns = photo.image.shape[:2]
    largest = min(rows / height, columns / width)
    for _ in range(10):
        scale = largest * float(np.exp(between(rng, np.log(least), 0)))
        tall, wide = max(2, int(height * scale)), max(2, int(width * scale))
        top, left = int(rng.random() * (rows - tall + 1)), int(rng.random() * (columns - wide + 1))
        if _is_clear(photo.avoid, left, top, left + wide, top + tall):
            window = photo.image[top : top + tall, left : left + wide]
            window = window[:, ::-1] if chance(rng, 0.5) else window
            patch = cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
            return np.array(patch, np.uint8)
    return None


def _is_clear(avoid: Avoided, left: float, top: float, right: float, bottom: float) -> bool:
    apart = (avoid[:, 0] >= right) | (avoid[:, 2] <= left) | (avoid[:, 1] >= bottom) | (avoid[:, 3] <= top)
    return bool(apart.all())


def _read_photo(path: Path, longest_side: int) -> RgbImage:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageUnreadable(f"cannot read background photo {path}")
    scale = longest_side / max(pixels.shape[:2])
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[:, :, ::-1], np.uint8)


def photos_of(images: Sequence[RgbImage], avoid: Sequence[Avoided]) -> Backgrounds:
    """Return backgrounds of decoded photos with the text regions to stay clear of, in the same order."""
    return Backgrounds(
        photos=tuple(Photo(image=image, avoid=boxes) for image, boxes in zip(images, avoid, strict=True))
    )
