"""From letters to the probability that they spell a word with some edits: insertions, deletions and replacements.

CTC's forward sum (see `spelling`) goes along the characters of the word; here it goes along them once for each number
of edits so far, and an edit leads from one to the next. A character that is not the word's own is any that is not the
blank. Edits can lead to one text in several ways, which are all counted; so each sum is cut at 1, and of the numbers of
edits the likeliest is taken, not their sum.

E numbers of edits (0 to those forgiven), P places (characters of the word read so far), N instances, S columns.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from glyphseek.types import LETTER_STEP, FloatArray, LetterArray

EDIT_WEIGHT = np.float32(0.25)
"""How much less probable a text is counted for each edit, so that the word as it was typed comes first. Of answers to
words with a mistake that a model was confident of, 77 in 100 were right, 67 at a weight of 0.5 and 86 at 0.1."""


def read_tolerant(codes: list[int], edits: int, letters_NSA: LetterArray) -> FloatArray:
    """Return how probable a text at most `edits` from the word is, whose signs are `codes`: 0 to 1. (N,)"""
    count = len(codes)
    seen_SAN = letters_NSA[:, :, [*codes, letters_NSA.shape[2] - 1]].transpose(1, 2, 0).astype(np.float32, order="C")
    seen_SAN = np.exp(seen_SAN * np.float32(-LETTER_STEP))
    repeats_P1 = np.array([False, *(before == after for before, after in pairwise(codes))])[:, None]
    shape_EPN = edits + 1, count + 1, len(letters_NSA)
    blank, own, other = (np.zeros(shape_EPN, dtype=np.float32) for _ in range(3))  # what the last column showed
    blank[0, 0] = 1.0  # before the first column
    for seen_AN in seen_SAN:
        so_far = blank + own + other
        read = _leave_out(so_far.copy())
        own[:, 1:] += read[:, :-1] - own[:, :-1] * repeats_P1  # right side first: a repeated one needs a blank between
        own[:, 1:] *= seen_AN[:-1]
        other[1:, 1:] += read[:-1, :-1]  # in place of the word's character
        other[1:] += read[:-1]  # between two of them
        other *= np.maximum(1 - seen_AN[-1], 0)
        blank = so_far * seen_AN[-1]
    ended_EN = np.minimum(_leave_out(blank + own + other)[:, -1], np.float32(1.0))
    weights_E1 = EDIT_WEIGHT ** np.arange(edits + 1, dtype=np.float32)[:, None]
    return (weights_E1 * ended_EN).max(axis=0)


def _leave_out(reached_EPN: FloatArray) -> FloatArray:
    """Return the paths with those that leave characters of the word out from here on, an edit each."""
    for before, after in pairwise(reached_EPN):
        after[1:] += before[:-1]
    return reached_EPN
