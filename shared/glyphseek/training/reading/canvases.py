"""Windows packed with cropped words: many times as many words to read as a scene has, at the same cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from glyphseek.training.annotated import AnnotatedWord
from glyphseek.training.crops import Crop, WordPatch
from glyphseek.training.reading.windows import draw_log
from glyphseek.training.scenes import TrainingScene

ROW_HEIGHTS = (10.0, 26.0)
"""Height in pixels, log-uniform, of a row of crops."""
LETTER_WIDTH = 0.52
"""Width of a letter as a share of its height, by which a crop of a fixed size is given back a natural width."""
STRETCH = (0.75, 1.4)
LARGEST_GAP = 10
REAL_CONTEXT = 0.15
"""A real word is cut with this share of its height around it."""


def pack_canvas(side: int, draw: Callable[[np.random.Generator], Crop], rng: np.random.Generator) -> TrainingScene:
    """Return a `side` x `side` window with rows of crops on one colour, and where each word is.

    A crop that does not fit into what is left of its row ends the row.
    """
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = rng.integers(0, 256, 3)
    words: list[AnnotatedWord] = []
    top = int(rng.integers(0, LARGEST_GAP))
    while True:
        height = round(draw_log(rng, ROW_HEIGHTS))
        if top + height > side:
            return TrainingScene(pixels=canvas, words=tuple(words))
        left = int(rng.integers(0, LARGEST_GAP))
        while True:
            pixels, word = draw(rng)
            width = natural_width(pixels, word, height, rng)
            if left + width > side:
                break
            canvas[top : top + height, left : left + width] = cv2.resize(
                pixels, (width, height), interpolation=cv2.INTER_AREA
            )
            box = np.array([left, top, left + width, top + height], np.float32)
            words.append(AnnotatedWord(word=word, box_4=box))
            left += width + int(rng.integers(0, LARGEST_GAP))
        top += height + int(rng.integers(0, LARGEST_GAP))


def natural_width(pixels: NDArray[np.uint8], word: str, height: int, rng: np.random.Generator) -> int:
    """Return the width of a crop at that height: its own where it was not stretched, else by its letters."""
    rows, columns = pixels.shape[:2]
    if (rows, columns) != STRETCHED_SIZE:
        return max(4, round(columns * height / rows))
    return max(4, round((LETTER_WIDTH * len(word) + 0.2) * height * draw_log(rng, STRETCH)))


STRETCHED_SIZE = (32, 128)
"""Rows and columns to which rendered crops are stretched."""


def real_drawer(patches: Sequence[WordPatch]) -> Callable[[np.random.Generator], Crop]:
    """Return a function that draws a real word, a little misplaced, at its own shape."""

    def draw(rng: np.random.Generator) -> Crop:
        patch = patches[int(rng.integers(len(patches)))]
        left, top, right, bottom = patch.box_4 + rng.normal(0, 0.04, 4) * (patch.box_4[3] - patch.box_4[1])
        around = REAL_CONTEXT * rng.random() * (bottom - top)
        rows, columns = patch.pixels.shape[:2]
        first = max(0, int(top - around)), max(0, int(left - around))
        last = min(rows, int(bottom + around) + 1), min(columns, int(right + around) + 1)
        return patch.pixels[first[0] : last[0], first[1] : last[1]], patch.word

    return draw
