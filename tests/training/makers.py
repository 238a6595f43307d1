"""What the renderer processes of the tests make; importable by name, as another process must."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BATCH = 4


def count_up(seed: int) -> Callable[[], list[int]]:
    """Return a function that gives 0 1 2 3, then 4 5 6 7, and so on."""
    del seed
    numbers = itertools.count()
    return lambda: [next(numbers) for _ in range(BATCH)]


def tell_seed(seed: int) -> Callable[[], list[int]]:
    """Return a function that gives the process's seed, slowly enough for other processes to have their turn."""

    def make() -> list[int]:
        time.sleep(0.02)
        return [seed] * BATCH

    return make


def make_noise(rows: int, columns: int, seed: int) -> Callable[[], list[tuple[NDArray[np.uint8], str]]]:
    """Return a function that gives crops of that size without anything on them to read."""
    rng = np.random.default_rng(seed)
    return lambda: [(rng.integers(0, 255, (rows, columns, 3), np.uint8), "noise") for _ in range(BATCH)]


def break_down(seed: int) -> Callable[[], list[int]]:
    """Return a function that works once and then ends its process with exit code 3."""
    del seed
    calls = itertools.count()

    def make() -> list[int]:
        if next(calls):
            raise SystemExit(3)
        return [0] * BATCH

    return make
