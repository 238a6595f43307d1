"""Is one word read right after another? A soft answer from two boxes, for phrases.

Detectors cut words a little too wide or too narrow, lines are slanted and curved, signs break phrases into lines. So
each condition is a ramp between "surely" and "surely not" and the answer is their product. Lengths are in units of
the higher of the two words; N instances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glyphseek.types import FloatArray

APART = 0.05
"""Least factor: two words of a phrase that are both there, but nowhere near each other."""
UNPLACED = 0.5
"""Factor of two words whose places are not known (their image's blob could not be read)."""
LINE_BREAK = 0.8
"""Factor of the best continuation on the next line: more often a chance neighbour than one on the same line."""

# Each pair is (fully, not at all); between them the factor falls in a straight line.
_ON_ONE_LINE = (
    (0.6, 0.3),  # lower height / higher height; capitals beside lower case stand at about 0.7
    (0.4, -0.1),  # shared height / lower height; slanted and curved lines share little, below 0 is a distance
    (1.2, 3.0),  # from right edge to left edge; 3 leaves room for one short word that was not found
    (0.7, 0.3),  # distance of centres / half the sum of widths: 1 for boxes that touch
)
_ACROSS_LINES = (
    (0.4, 0.15),  # lower height / higher height; signs set the name of a shop in another size than its trade
    (0.6, 1.2),  # from lower edge to upper edge; at 1 and more there is room for a line in between
    (0.8, 0.4),  # distance of centres / half the sum of heights
    (0.0, 0.5),  # how far right of the last word's end the next line may start
    (8.0, 20.0),  # how far left of the last word the next line's first word may end
)
_BROKEN = 0.25  # least factor of a break where the line goes on, or the next line has begun already


def adjacency(boxes_N4: FloatArray, aspect: float, chosen_C: NDArray[np.intp] | None = None) -> FloatArray:
    """Return (C, C) factors in [APART, 1], 0 on the diagonal: [i, j] says how surely word j is read right after word i.

    Boxes are fractions of the image, `aspect` is its width / height in pixels. None chooses all; the others count too,
    as words that a line goes on with.
    """
    boxes_N4 = boxes_N4.astype(np.float32) * np.array([aspect, 1, aspect, 1], dtype=np.float32)
    chosen_C = np.arange(len(boxes_N4)) if chosen_C is None else chosen_C
    boxes_C4 = boxes_N4[chosen_C]
    shape = len(chosen_C), *boxes_N4.shape
    pairs_2CN4 = np.stack([np.broadcast_to(boxes_C4[:, None], shape), np.broadcast_to(boxes_N4, shape)])
    follows_2CN = _same_line(pairs_2CN4, pairs_2CN4[::-1])  # a chosen one's successors, and its predecessors
    follows_2CN[:, np.arange(len(chosen_C)), chosen_C] = 0.0
    is_last_C, is_first_C = np.maximum(1.0 - follows_2CN.max(axis=2, initial=0.0), _BROKEN)
    next_CC = _next_line(boxes_C4[:, None], boxes_C4) * np.multiply.outer(is_last_C, is_first_C)
    near_CC = np.maximum(np.maximum(follows_2CN[0][:, chosen_C], LINE_BREAK * next_CC), APART)
    np.fill_diagonal(near_CC, 0.0)
    return near_CC


def near_at_most(boxes_M4: FloatArray, others_M4: FloatArray) -> FloatArray:
    """Return (M,) factors that `adjacency` does not pass for second words read right after first ones of their images.

    Boxes are in units of one length in both directions.
    """
    same_M, next_M = _same_line(boxes_M4, others_M4), _next_line(boxes_M4, others_M4)
    return np.maximum(np.maximum(same_M, LINE_BREAK * next_M), APART)


def unplaced(count: int) -> FloatArray:
    """Return (N, N) factors as `adjacency` does, for instances whose boxes are not known."""
    return np.where(np.eye(count, dtype=bool), 0.0, UNPLACED).astype(np.float32)


def overlapping(boxes_N4: FloatArray) -> NDArray[np.bool_]:
    """Return (N, N): whether two boxes share an area."""
    left, top, right, bottom = boxes_N4.T
    return (np.minimum.outer(right, right) > np.maximum.outer(left, left)) & (
        np.minimum.outer(bottom, bottom) > np.maximum.outer(top, top)
    )


def _same_line(boxes_4: FloatArray, others_4: FloatArray) -> FloatArray:
    """Return how surely each of the second words is read right after the first on one line; they broadcast."""
    left, top, right, bottom = np.moveaxis(boxes_4, -1, 0)
    other_left, other_top, other_right, other_bottom = np.moveaxis(others_4, -1, 0)
    height, other_height = _extent(top, bottom), _extent(other_top, other_bottom)
    lower, higher = np.minimum(height, other_height), np.maximum(height, other_height)
    shared = np.minimum(bottom, other_bottom) - np.maximum(top, other_top)
    widths = _extent(left, right) + _extent(other_left, other_right)
    return _ramps(
        [
            lower / higher,
            shared / lower,
            (other_left - right) / higher,
            ((other_left + other_right) - (left + right)) / widths,
        ],
        _ON_ONE_LINE,
    )


def _next_line(boxes_4: FloatArray, others_4: FloatArray) -> FloatArray:
    """Return how surely a second word begins the line below that which the first ends, by their places alone."""
    left, top, right, bottom = np.moveaxis(boxes_4, -1, 0)
    other_left, other_top, other_right, other_bottom = np.moveaxis(others_4, -1, 0)
    height, other_height = _extent(top, bottom), _extent(other_top, other_bottom)
    lower, higher = np.minimum(height, other_height), np.maximum(height, other_height)
    return _ramps(
        [
            lower / higher,
            (other_top - bottom) / higher,
            ((other_top + other_bottom) - (top + bottom)) / (height + other_height),
            (other_left - right) / higher,
            (left - other_right) / higher,
        ],
        _ACROSS_LINES,
    )


def _extent(start_N: FloatArray, end_N: FloatArray) -> FloatArray:
    return np.maximum(end_N - start_N, 1e-6)


def _ramps(values: Sequence[NDArray[np.floating]], ends: Sequence[tuple[float, float]]) -> FloatArray:
    """Return the product of ramps, one for each pair of ends, over values of one shape.

    One array is quicker than several.
    """
    factors = np.array(values, dtype=np.float32)
    shape = -1, *(1,) * (factors.ndim - 1)
    factors -= np.array([none for _, none in ends], dtype=np.float32).reshape(shape)
    factors /= np.array([full - none for full, none in ends], dtype=np.float32).reshape(shape)
    return np.minimum(np.maximum(factors, 0.0), 1.0).prod(axis=0)  # clip is slower
