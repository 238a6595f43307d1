"""How much the letters of a face look like letters: keeps picture and ornament fonts out of the rendered words."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphseek.types import FloatArray

PROBE = "ABEGHKMNRSTWaegknrst24578"
REFERENCES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-BoldItalic.ttf", "cmss10.ttf")
_SIDE = 20


def likeness(font: ImageFont.FreeTypeFont) -> float:
    """Return 0.6 mean + 0.4 mean of the worst quarter of the letters' best correlations with plain faces, [-1, 1].

    Every letter is stretched to a square first, so condensed and wide faces do not lose. A capital may stand for its
    small letter, as it does in many display faces.
    """
    best: list[float] = []
    for place, letter in enumerate(PROBE):
        shape = _letter_shape(font, letter)
        small = _references()[place]
        large = _references()[PROBE.index(letter.upper())] if letter.upper() in PROBE else small
        best.append(float(max((small @ shape).max(), (large @ shape).max())))
    worst = sorted(best)[: len(best) // 4]
    return 0.6 * sum(best) / len(best) + 0.4 * sum(worst) / len(worst)


@lru_cache(maxsize=1)
def _references() -> tuple[FloatArray, ...]:
    """Return for each probe letter its (references, pixels) unit shapes."""
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent / "mpl-data/fonts/ttf" if spec and spec.origin else Path()
    fonts = [ImageFont.truetype(str(folder / name), 32) for name in REFERENCES]
    return tuple(np.stack([_letter_shape(font, letter) for font in fonts]) for letter in PROBE)


def _letter_shape(font: ImageFont.FreeTypeFont, letter: str) -> FloatArray:
    """Return the ink of one letter as a flat zero-mean unit vector; all zeros when there is no ink."""
    canvas = Image.new("L", (96, 96))
    ImageDraw.Draw(canvas).text((24, 20), letter, fill=255, font=font)
    box = canvas.getbbox()
    if box is None:
        return np.zeros(_SIDE * _SIDE, np.float32)
    ink = np.asarray(canvas.crop(box))
    shape = cv2.GaussianBlur(cv2.resize(ink, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), (0, 0), 1.2)
    flat = shape.astype(np.float32).ravel()
    flat -= flat.mean()
    return flat / max(1e-6, float(np.linalg.norm(flat)))
