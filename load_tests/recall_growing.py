"""The gallery that `recall.py` grows: a set with ground truth, rendered photos, and any number of resampled ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from resampling import move_vectors

from glyphseek.errors import InputError
from glyphseek.types import FloatArray

CHUNK_IMAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Photos that join the gallery together: their vectors one photo after another, and how many each has."""

    source: str
    vectors_RD: FloatArray
    counts_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query as a unit vector, and the places in the gallery of the photos that answer it."""

    text: str
    vector_D: FloatArray
    relevant: tuple[int, ...]


def grow_gallery(
    first: Chunk, questions: Sequence[Question], others: Sequence[Chunk], sizes: Sequence[int]
) -> Iterator[Chunk]:
    """Yield the set, then the rendered photos, then resampled ones by up to 500, stopping at each of the sizes."""
    yield first
    yield from others
    done = len(first.counts_N) + sum(len(chunk.counts_N) for chunk in others)
    answers = {place for question in questions for place in question.relevant}
    pool = [vectors_ND for place, vectors_ND in enumerate(_split(first)) if place not in answers]
    pool += [vectors_ND for chunk in others for vectors_ND in _split(chunk)]
    if not pool:
        raise InputError("every photo answers a query: there is none to resample. Add --rendered, or fewer --queries")
    random = np.random.default_rng(1)
    for size in sizes:
        while done < size:
            count = min(CHUNK_IMAGES, size - done)
            yield _resample(pool, count, random)
            done += count


def _split(chunk: Chunk) -> list[FloatArray]:
    return np.split(chunk.vectors_RD, np.cumsum(chunk.counts_N)[:-1])


def _resample(pool: Sequence[FloatArray], count: int, random: np.random.Generator) -> Chunk:
    chosen = [pool[place] for place in random.integers(0, len(pool), count)]
    moved_RD = move_vectors(np.concatenate(chosen), random)
    return Chunk(source="resampled", vectors_RD=moved_RD, counts_N=np.array([len(one) for one in chosen]))
