"""Small draws from a numpy generator; `Generator.choice` costs more than all of a crop's draws together."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with that probability; uses exactly one draw."""
    return rng.random() < probability


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a uniform draw of [low, high)."""
    return low + (high - low) * rng.random()


def pick(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    """Return one of the options, all equally likely."""
    return options[int(rng.random() * len(options))]


def pick_place(rng: np.random.Generator, cumulative: Sequence[float]) -> int:
    """Return an index with the probability given by rising cumulative weights (any positive total)."""
    return min(bisect.bisect_right(cumulative, rng.random() * cumulative[-1]), len(cumulative) - 1)
