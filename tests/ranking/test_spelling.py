from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glyphseek.errors import InputError
from glyphseek.queries import Term, TermKind
from glyphseek.ranking import Gathered, is_spelt, spell, spelt_similarities
from glyphseek.ranking.spelling import BESIDE_OTHERS, MOST_SPELLED, read_word
from glyphseek.types import LETTER_STEP, Instances, LetterArray, LetterScale

ABC = "abc"
BLANK = 3
SCALE = LetterScale(slope=0.02, offset=0.7)


def letters_of(texts: list[str], *, sure: int = 4) -> LetterArray:
    """Return letters whose likeliest path is each text, in which `_` is the blank; all other signs are as faint."""
    codes = np.array([[(ABC + "_").index(sign) for sign in text] for text in texts])
    letters_NSA = np.full((*codes.shape, BLANK + 1), 96, dtype=np.uint8)
    np.put_along_axis(letters_NSA, codes[:, :, None], sure, axis=2)
    return letters_NSA


def random_letters(seed: int, columns: int = 5) -> LetterArray:
    logits = 3 * np.random.default_rng(seed).standard_normal((3, columns, BLANK + 1))
    logarithms = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return np.clip(np.round(-logarithms / LETTER_STEP), 0, 255).astype(np.uint8)


def collapse(path: tuple[int, ...]) -> str:
    kept = [sign for place, sign in enumerate(path) if place == 0 or path[place - 1] != sign]
    return "".join(ABC[sign] for sign in kept if sign != BLANK)


def sum_of_paths(letters_SA: NDArray[np.uint8], counts: Callable[[str], float], *, whole: bool = False) -> float:
    """Return the sum of the probabilities of all paths, one by one, each as often as what it reads as counts.

    Kept letters are rounded: a column sums to 1 unless they are taken as they are, for a `whole` word.
    """
    probabilities_SA = np.exp(-LETTER_STEP * letters_SA.astype(np.float64))
    probabilities_SA /= 1.0 if whole else probabilities_SA.sum(axis=1, keepdims=True)
    paths = product(range(BLANK + 1), repeat=len(letters_SA))
    return sum(
        float(np.prod(probabilities_SA[np.arange(len(path)), list(path)])) * counts(collapse(path)) for path in paths
    )


def occurrences(read: str, text: str) -> int:
    return sum(read.startswith(text, place) for place in range(len(read)))


@pytest.mark.parametrize("text", ["a", "b", "ab", "aa", "aba", "cab", "abca"])
def test_a_word_is_as_probable_as_all_paths_that_read_as_it(text: str) -> None:
    letters_NSA = random_letters(seed=len(text))
    expected = [sum_of_paths(one, lambda read: read == text, whole=True) for one in letters_NSA]
    codes = [ABC.index(character) for character in text]
    np.testing.assert_allclose(read_word(codes, letters_NSA), expected, rtol=1e-5)


@pytest.mark.parametrize("text", ["a", "ab", "aa", "aba", "cab"])
def test_a_word_beside_others_in_its_box_counts_a_little(text: str) -> None:
    letters_NSA = random_letters(seed=5 + len(text))
    told = spell(Term(text=text), letters_NSA, ABC)
    alone = np.array([sum_of_paths(one, lambda read: read == text) for one in letters_NSA])
    among = np.array([sum_of_paths(one, lambda read: occurrences(read, text)) for one in letters_NSA])
    expected = (1 - BESIDE_OTHERS) * alone + BESIDE_OTHERS * np.minimum(among, 1)
    np.testing.assert_allclose(told, np.log(expected), atol=6 * LETTER_STEP)


def test_a_word_alone_is_more_probable_than_beside_a_neighbours_letters_and_that_than_another() -> None:
    alone, beside, other = spell(Term(text="ab"), letters_of(["_ab__", "_abc_", "_cb__"]), ABC)
    assert alone > beside + 3
    assert beside > other + 0.5


@pytest.mark.parametrize("text", ["a", "ab", "aa", "cab"])
def test_a_prefix_is_as_probable_as_all_paths_that_begin_with_it(text: str) -> None:
    letters_NSA = random_letters(seed=7)
    told = spell(Term(text=text, kind=TermKind.PREFIX), letters_NSA, ABC)
    # Kept letters are rounded, so that a column does not quite sum to 1: what follows a prefix is counted as 1.
    expected = [np.log(sum_of_paths(one, lambda read: read.startswith(text))) for one in letters_NSA]
    np.testing.assert_allclose(told, expected, atol=5 * LETTER_STEP)


@pytest.mark.parametrize("word", ["bank", "a", "coffee", "2026"])
def test_a_word_is_as_probable_as_torch_has_it(word: str) -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    logits = 2 * np.random.default_rng(5).standard_normal((6, 32, len(alphabet) + 1))
    logits[:, :, -1] += 6  # most columns show no character, as those of words do
    logarithms = torch.log_softmax(torch.from_numpy(logits), dim=2)
    letters_NSA = (logarithms.numpy() / -LETTER_STEP).round().clip(0, 255).astype(np.uint8)
    codes = [alphabet.index(sign) for sign in word]
    kept = torch.from_numpy(letters_NSA.astype(np.float64)) * -LETTER_STEP
    expected = -torch.nn.functional.ctc_loss(
        kept.transpose(0, 1),
        torch.tensor([codes] * 6),
        torch.full((6,), 32),
        torch.full((6,), len(word)),
        blank=len(alphabet),
        reduction="none",
    )
    np.testing.assert_allclose(np.log(read_word(codes, letters_NSA)), expected.numpy(), rtol=1e-5)


def test_a_word_longer_than_the_columns_has_the_least_probability() -> None:
    assert spell(Term(text="abcabcabc"), letters_of(["abc"]), ABC).tolist() == [-100.0]


def test_no_instances_have_no_probabilities() -> None:
    assert spell(Term(text="ab"), np.zeros((0, 5, BLANK + 1), np.uint8), ABC).shape == (0,)


def test_doubled_letters_need_a_blank_between_them() -> None:
    told = spell(Term(text="aab"), letters_of(["aa_b_", "a_ab_"]), ABC)
    assert told[1] > told[0] + 3


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term(text="ab"), True),
        (Term(text="ab", kind=TermKind.PREFIX), True),
        (Term(text="ab", kind=TermKind.TOLERANT, edits=1), True),
        (Term(text="ab", kind=TermKind.SEMANTIC), False),
    ],
)
def test_all_but_meaning_is_told_by_letters(term: Term, expected: bool) -> None:
    assert is_spelt(term) is expected


def instances_of(texts: list[str], scores: list[float] | None = None) -> Instances:
    count = len(texts)
    return Instances(
        vectors_ND=np.eye(max(count, 1), dtype=np.float32)[:count],
        boxes_N4=np.zeros((count, 4), np.float32),
        scores_N=np.array(scores or [1.0] * count, np.float32),
        letters_NSA=letters_of(texts) if texts else np.zeros((0, 5, BLANK + 1), np.uint8),
    )


def similarities(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def test_letters_decide_between_instances_whose_vectors_are_alike() -> None:
    images = Gathered([instances_of(["ab_c_", "abc__"]), instances_of([]), instances_of(["cab__"])])
    found = spelt_similarities(Term(text="cab"), similarities(0.9, 0.8, 0.1), images, alphabet=ABC, scale=SCALE)
    assert len(found) == 3
    assert found[2] > found[:2].max() + 0.1
    assert found[2] == pytest.approx(0.7 + 0.02 * float(spell(Term(text="cab"), letters_of(["cab__"]), ABC)[0]))


def test_a_doubtful_text_counts_less_than_a_sure_one() -> None:
    image = instances_of(["ab___", "ab___"], [1.0, 0.5])
    found = spelt_similarities(Term(text="ab"), similarities(0.5, 0.5), Gathered([image]), alphabet=ABC, scale=SCALE)
    assert found[0] - found[1] == pytest.approx(0.02 * np.log(2), abs=1e-5)


def test_instances_that_are_not_looked_at_are_never_more_similar_than_those_that_are() -> None:
    texts = ["cab__"] * MOST_SPELLED + ["ab___"]
    by_vectors = similarities(*[0.95] * MOST_SPELLED, 0.94)
    image = Gathered([instances_of(texts)])
    found = spelt_similarities(Term(text="ab"), by_vectors, image, alphabet=ABC, scale=SCALE)
    assert found[-1] <= found[:-1].min()
    best = spell(Term(text="ab"), letters_of(["ab___"]), ABC)[0]
    assert found.max() < SCALE.slope * best + SCALE.offset


def test_an_instance_that_is_nothing_like_the_word_is_not_looked_at() -> None:
    image = Gathered([instances_of(["cab__", "ab___"])])
    alike, other = spelt_similarities(Term(text="ab"), similarities(0.9, 0.1), image, alphabet=ABC, scale=SCALE)
    assert other <= alike < 0.65


def test_an_image_without_letters_is_refused() -> None:
    image = Instances(
        vectors_ND=np.eye(1, dtype=np.float32), boxes_N4=np.zeros((1, 4), np.float32), scores_N=np.ones(1, np.float32)
    )
    with pytest.raises(InputError, match="no letters"):
        spelt_similarities(Term(text="ab"), similarities(1.0), Gathered([image]), alphabet=ABC, scale=SCALE)


def test_images_say_the_same_together_as_alone() -> None:
    texts = [["ab___", "cab__", "a_b__", "abc__", "_ab__"], [], ["ab_c_"], ["aab__", "abb__"]]
    images = [instances_of(one) for one in texts]
    by_vectors = np.random.default_rng(3).uniform(0, 1, 8).astype(np.float32)
    together = spelt_similarities(Term(text="ab"), by_vectors, Gathered(images), alphabet=ABC, scale=SCALE)
    gathered = Gathered(images)
    for place, image in enumerate(images):
        part = gathered.part(place)
        alone = spelt_similarities(Term(text="ab"), by_vectors[part], Gathered([image]), alphabet=ABC, scale=SCALE)
        np.testing.assert_array_equal(together[part], alone)
