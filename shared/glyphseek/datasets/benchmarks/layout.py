"""What a loader is: one layout on disk, how it is recognised, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glyphseek.evaluation.benchmark import Benchmark

Split = Literal["train", "test"]
"""Which part of a set that holds both; sets with one part ignore it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One published folder layout.

    `looks_for` says in words what `matches` checks, for the message when nothing matches. `load` returns one
    benchmark a gallery, and raises InputError naming the file that is missing or damaged.
    """

    name: str
    looks_for: str
    matches: Callable[[Path], bool]
    load: Callable[[Path, Split], tuple[Benchmark, ...]]
