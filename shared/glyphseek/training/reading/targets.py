"""What each token of a window should say: is it the middle of a word, of which, and which letter is at its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyphseek.models.cayn.dense.settings import ALPHABET, STRIDE
from glyphseek.training.scenes import TrainingScene
from glyphseek.types import FloatArray

READ_HEIGHTS = (7.0, 30.0)
"""Words of this height in pixels are to be found at the window's scale."""
IGNORED_HEIGHTS = (5.0, 44.0)
"""Words beyond `READ_HEIGHTS` but within these may be found or not; others are background at this scale."""
CENTRE = 0.18
"""A token this share of the word's sides from its centre, or nearest to it, stands for the word."""
NARROWEST_LETTER = 4.5
"""Letters narrower than this, in pixels, are not told apart by tokens of 8 pixels."""
FALL = 0.16
"""Standard deviation of the text target around a word's centre, as a share of its sides; the nearest token has 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTargets:
    """One window of H x W tokens. Places are rows * W + columns.

    text_HW and weight_HW: the text target in [0, 1] and whether it counts. word_places_N with words: tokens that stand
    for a word. letter_places_M with letters_M: tokens on a letter, and its code.
    """

    text_HW: FloatArray
    weight_HW: FloatArray
    word_places_N: NDArray[np.int64]
    words: tuple[str, ...]
    letter_places_M: NDArray[np.int64]
    letters_M: NDArray[np.int64]


def make_targets(scene: TrainingScene) -> TokenTargets:
    """Return the targets of a window whose sides divide by the stride."""
    rows, columns = scene.pixels.shape[0] // STRIDE, scene.pixels.shape[1] // STRIDE
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * STRIDE + STRIDE / 2
    text, weight = np.zeros((rows, columns), np.float32), np.ones((rows, columns), np.float32)
    places: list[NDArray[np.int64]] = []
    words: list[str] = []
    letter_places: list[NDArray[np.int64]] = []
    letters: list[NDArray[np.int64]] = []
    for item in scene.words:
        left, top, right, bottom = (float(v) for v in item.box_4)
        wide, tall = right - left, bottom - top
        is_inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        height = min(wide, tall)
        if item.word is None or not READ_HEIGHTS[0] <= height <= READ_HEIGHTS[1]:
            if item.word is None or IGNORED_HEIGHTS[0] <= height <= IGNORED_HEIGHTS[1]:
                weight[is_inside] = 0
            continue
        dx, dy = (x - (left + right) / 2) / wide, (y - (top + bottom) / 2) / tall
        bell = np.exp(-(dx**2 + dy**2) / (2 * FALL**2))
        text = np.maximum(text, bell / bell.max())
        away = np.maximum(np.abs(dx) - CENTRE, 0) * wide + np.maximum(np.abs(dy) - CENTRE, 0) * tall
        found = np.flatnonzero(away.ravel() <= max(0.0, float(away.min())))
        places.append(found)
        words += [item.word] * len(found)
        if wide > max(0.3 * tall, NARROWEST_LETTER) * len(item.word):
            on = np.flatnonzero((is_inside & (np.abs(dy) < 0.3)).ravel())
            codes = np.array([ALPHABET.index(c) for c in item.word])
            ends = item.letter_ends if item.letter_ends is not None else np.linspace(0, 1, len(codes) + 1)[1:]
            at = np.searchsorted(ends, (x.ravel()[on] - left) / wide).clip(0, len(codes) - 1)
            letter_places.append(on)
            letters.append(codes[at])
    weight[text > 0.5] = 1
    return TokenTargets(
        text_HW=text.astype(np.float32),
        weight_HW=weight,
        word_places_N=joined(places),
        words=tuple(words),
        letter_places_M=joined(letter_places),
        letters_M=joined(letters),
    )


def joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the parts as one array; (0,) without any."""
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
