"""Photos that never were: features of real ones, moved. Spread like real ones, but no new kinds of scene."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from glyphseek.types import FloatArray, ImageFeatures, ImageRecord, TokenMap

MOVED = 0.3
"""How far each vector is moved, in differences of two others."""


def move_vectors(vectors_RD: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return unit vectors (R, D), each moved by 0.3 of the difference of two others."""
    left_RD, right_RD = (vectors_RD[random.permutation(len(vectors_RD))] for _ in range(2))
    moved_RD = vectors_RD + np.float32(MOVED) * (left_RD - right_RD)
    return moved_RD / np.maximum(np.linalg.norm(moved_RD, axis=1, keepdims=True), np.float32(1e-6))


def resample(
    pool: Sequence[tuple[ImageRecord, ImageFeatures]], count: int, *, seed: int, first: int = 0
) -> Iterator[tuple[ImageRecord, ImageFeatures]]:
    """Yield `count` photos by number from `first` on; the same seed and number give the same photo.

    Each is one of the pool with its vectors moved by those of another, and a record of its own.
    """
    for number in range(first, first + count):
        random = np.random.default_rng((seed, number))
        base, other = (pool[place] for place in random.integers(0, len(pool), 2))
        yield _make_record(base[0], seed, number), _move(base[1], other[1], random)


def _make_record(base: ImageRecord, seed: int, number: int) -> ImageRecord:
    digits = hashlib.sha256(f"resampled {seed} {number}".encode()).hexdigest()
    return replace(base, image_id=digits[:32], content_hash=digits, names=(f"resampled/{seed}/{number}",))


def _move(base: ImageFeatures, other: ImageFeatures, random: np.random.Generator) -> ImageFeatures:
    vector_D, instances, tokens = base.global_vector_D, base.instances, base.token_map
    if vector_D is not None and other.global_vector_D is not None:
        vector_D = _mix(vector_D[None], other.global_vector_D[None], random)[0]
    if instances is not None and other.instances is not None:
        instances = replace(instances, vectors_ND=_mix(instances.vectors_ND, other.instances.vectors_ND, random))
    if tokens is not None:
        tokens = _roll(tokens, random)
    return ImageFeatures(global_vector_D=vector_D, instances=instances, token_map=tokens)


def _roll(tokens: TokenMap, random: np.random.Generator) -> TokenMap:
    """Return the map with its columns moved around by a random number."""
    columns = int(random.integers(0, tokens.tokens_HWE.shape[1]))
    return TokenMap(
        tokens_HWE=np.roll(tokens.tokens_HWE, columns, axis=1),
        text_likelihood_HW=np.roll(tokens.text_likelihood_HW, columns, axis=1),
    )


def _mix(vectors_ND: FloatArray, others_MD: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return (N, D) unit vectors, moved by differences of vectors of both photos."""
    return move_vectors(np.concatenate([vectors_ND, others_MD]), random)[: len(vectors_ND)]
