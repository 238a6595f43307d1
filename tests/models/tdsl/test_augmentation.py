from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.models.tdsl.settings import ALPHABET


def test_neighbours_are_never_empty_and_stay_in_the_alphabet() -> None:
    rng = np.random.default_rng(0)

    for word in ("a", "ab", "street"):
        for _ in range(500):
            neighbour = augment_word(word, rng)
            assert neighbour
            assert set(neighbour) <= set(ALPHABET)


def test_characters_are_kept_five_times_in_eight() -> None:
    rng = np.random.default_rng(1)
    word = "q" * 4000

    kept = Counter(augment_word(word, rng))["q"]

    # Kept or kept in front of an insertion: 6 of 8; a random character is a q once in 36, in 2 of 8.
    assert kept / len(word) == pytest.approx(6 / 8 + 2 / 8 / 36, abs=0.03)


def test_the_length_is_kept_on_average() -> None:
    rng = np.random.default_rng(2)

    lengths = [len(augment_word("abcdefgh", rng)) for _ in range(2000)]

    assert np.mean(lengths) == pytest.approx(8, abs=0.15)


def test_the_same_seed_gives_the_same_neighbour() -> None:
    assert augment_word("restaurant", np.random.default_rng(7)) == augment_word("restaurant", np.random.default_rng(7))
