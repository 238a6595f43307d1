from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from glyphseek.queries import Term, TermKind
from glyphseek.ranking import spell
from glyphseek.ranking.spelling import read_word
from glyphseek.ranking.tolerant_spelling import EDIT_WEIGHT, read_tolerant
from glyphseek.types import LETTER_STEP, LetterArray

ABC = "abc"
BLANK = 3


def random_letters(seed: int, count: int = 3, columns: int = 5) -> LetterArray:
    logits = 2 * np.random.default_rng(seed).standard_normal((count, columns, BLANK + 1))
    logarithms = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return np.clip(np.round(-logarithms / LETTER_STEP), 0, 255).astype(np.uint8)


def sure_letters(text: str) -> LetterArray:
    """Return letters that spell the text, a blank after each character."""
    letters_NSA = np.full((1, 2 * len(text), BLANK + 1), 160, dtype=np.uint8)
    for place, character in enumerate(text):
        letters_NSA[0, 2 * place, ABC.index(character)] = 0
        letters_NSA[0, 2 * place + 1, BLANK] = 0
    return letters_NSA


def codes_of(text: str) -> list[int]:
    return [ABC.index(character) for character in text]


def collapse(path: tuple[int, ...]) -> str:
    kept = [sign for place, sign in enumerate(path) if place == 0 or path[place - 1] != sign]
    return "".join(ABC[sign] for sign in kept if sign != BLANK)


def sum_of_paths_at(letters_SA: NDArray[np.uint8], text: str, distance: int) -> float:
    """Return the probability of all paths whose text is so many edits away, one by one."""
    probabilities_SA = np.exp(-LETTER_STEP * letters_SA.astype(np.float64))
    return sum(
        float(np.prod(probabilities_SA[np.arange(len(path)), list(path)]))
        for path in product(range(BLANK + 1), repeat=len(letters_SA))
        if Levenshtein.distance(collapse(path), text) == distance
    )


@pytest.mark.parametrize("text", ["a", "ab", "aa", "aba", "cab"])
def test_without_edits_it_is_the_probability_of_the_word(text: str) -> None:
    letters_NSA = random_letters(seed=len(text))
    expected = read_word(codes_of(text), letters_NSA)
    np.testing.assert_allclose(read_tolerant(codes_of(text), 0, letters_NSA), expected, rtol=1e-4)


@pytest.mark.parametrize("edits", [1, 2])
@pytest.mark.parametrize("text", ["ab", "aa", "cab", "abba"])
def test_no_text_within_the_edits_is_left_out(text: str, edits: int) -> None:
    letters_NSA = random_letters(seed=11 * len(text) + edits)
    told = read_tolerant(codes_of(text), edits, letters_NSA)
    for told_one, letters_SA in zip(told, letters_NSA, strict=True):
        # Kept letters are rounded, so that a column does not quite sum to 1.
        for distance in range(edits + 1):
            assert told_one >= 0.9 * EDIT_WEIGHT**distance * sum_of_paths_at(letters_SA, text, distance)
        assert told_one <= 1.0


@pytest.mark.parametrize(
    ("written", "distance"),
    [
        ("cab", 0),
        ("cb", 1),
        ("ab", 1),
        ("ca", 1),
        ("cabb", 1),
        ("acab", 1),
        ("cbab", 1),
        ("ccb", 1),
        ("aab", 1),
        ("caa", 1),
        ("b", 2),
        ("aabc", 2),
        ("ccbb", 2),
        ("abacba", 4),
    ],
)
@pytest.mark.parametrize("edits", [1, 2])
def test_a_text_is_told_by_how_many_edits_lead_to_it(written: str, distance: int, edits: int) -> None:
    assert Levenshtein.distance(written, "cab") == distance
    (told,) = read_tolerant(codes_of("cab"), edits, sure_letters(written))
    if distance <= edits:
        assert told == pytest.approx(EDIT_WEIGHT**distance, rel=0.01)
    else:
        assert told < 0.01


def test_a_tolerant_word_is_spelt_with_its_edits() -> None:
    term = Term(text="cab", kind=TermKind.TOLERANT, edits=1)
    told = spell(term, np.concatenate([sure_letters("cab"), sure_letters("ccb"), sure_letters("bba")]), ABC)
    assert told[0] > told[1] > told[2] + 5
    assert told[1] == pytest.approx(np.log(EDIT_WEIGHT), abs=0.02)
