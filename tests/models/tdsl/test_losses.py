"""Each loss against a reference written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from glyphseek.models.tdsl.losses import (
    BLANK,
    SIMILARITY_WEIGHT,
    alignment_loss,
    ctc_loss,
    fits_ctc,
    hardest_column_loss,
    similarity_loss,
    target_similarities,
)
from glyphseek.models.tdsl.settings import ALPHABET

WORDS = ["coffee", "cofee", "open", "a", "street", "st"]


def edit_distance(a: str, b: str) -> int:
    table = [[i + j if i * j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, change)
    return table[len(a)][len(b)]


def smooth_l1(error: float) -> float:
    return 0.5 * error * error if abs(error) < 1 else abs(error) - 0.5


def hardest_columns(similarities: list[list[float]], targets: list[list[float]]) -> float:
    total = 0.0
    for row, wanted in zip(similarities, targets, strict=True):
        total += max(smooth_l1(s - t) for s, t in zip(row, wanted, strict=True))
    return total / len(similarities)


def unit_rows(count: int, seed: int) -> torch.Tensor:
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 7))).float()
    return torch.nn.functional.normalize(rows, dim=1)


def test_targets_are_one_minus_the_normalised_edit_distance() -> None:
    found = target_similarities(WORDS, WORDS[::-1])

    for i, a in enumerate(WORDS):
        for j, b in enumerate(WORDS[::-1]):
            assert float(found[i, j]) == pytest.approx(1 - edit_distance(a, b) / max(len(a), len(b)), abs=1e-6)


def test_the_hardest_column_of_each_row_counts() -> None:
    rng = np.random.default_rng(3)
    similarities, targets = rng.uniform(-1, 1, (5, 4)), rng.uniform(0, 1, (5, 4))

    found = float(hardest_column_loss(torch.from_numpy(similarities), torch.from_numpy(targets)))

    assert found == pytest.approx(hardest_columns(similarities.tolist(), targets.tolist()), abs=1e-9)


def test_similarity_loss_is_the_sum_of_three_weighted_terms() -> None:
    asked = [*WORDS, "cafe"]
    typed, pooled = unit_rows(len(asked), 0), unit_rows(len(WORDS), 1)

    found = float(similarity_loss(typed, asked, pooled, WORDS))

    def term(rows: torch.Tensor, row_words: list[str], columns: torch.Tensor, column_words: list[str]) -> float:
        targets = [[1 - edit_distance(a, b) / max(len(a), len(b)) for b in column_words] for a in row_words]
        cosines = [
            [sum((x * y for x, y in zip(r, c, strict=True)), 0.0) for c in columns.tolist()] for r in rows.tolist()
        ]
        return hardest_columns(cosines, targets)

    wanted = term(typed, asked, pooled, WORDS) + term(pooled, WORDS, pooled, WORDS) + term(typed, asked, typed, asked)
    assert found == pytest.approx(SIMILARITY_WEIGHT * wanted, rel=1e-5)


def test_the_word_side_of_the_word_image_term_gets_no_gradient() -> None:
    typed, pooled = unit_rows(2, 0).requires_grad_(), unit_rows(2, 1)
    similarity_loss(typed, ["open", "open"], pooled, ["open", "open"]).backward()
    with_images = typed.grad

    again = unit_rows(2, 0).requires_grad_()
    similarity_loss(again, ["open", "open"], unit_rows(2, 5), ["open", "open"]).backward()

    assert with_images is not None
    assert torch.equal(with_images, again.grad if again.grad is not None else torch.zeros(1))


def ctc_by_paths(probabilities: list[list[float]], codes: list[int]) -> float:
    """Sum the probability of every path that spells the codes."""

    def spell(path: list[int]) -> list[int]:
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        return [c for c in merged if c != BLANK]

    def walk(path: list[int], probability: float) -> float:
        if len(path) == len(probabilities):
            return probability if spell(path) == codes else 0.0
        step = probabilities[len(path)]
        return sum(walk([*path, c], probability * step[c]) for c in {*codes, BLANK})

    return walk([], 1.0)


@pytest.mark.parametrize("word", ["a", "ab", "aa", "aba"])
def test_ctc_sums_all_paths_that_spell_the_word(word: str) -> None:
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 5, BLANK + 1)))

    found = float(ctc_loss(logits, [word]))

    codes = [ALPHABET.index(c) for c in word]
    probability = ctc_by_paths(logits[0].softmax(1).tolist(), codes)
    assert found == pytest.approx(-math.log(probability) / len(word), rel=1e-6)


def test_words_that_do_not_fit_are_left_out_of_ctc() -> None:
    logits = torch.zeros(2, 4, BLANK + 1, requires_grad=True)

    ctc_loss(logits, ["abcde", "aaa"]).backward()

    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) == 0.0


@pytest.mark.parametrize(
    ("word", "columns", "fits"),
    [
        ("abc", 4, True),
        ("aabb", 5, False),
        ("aabb", 6, True),
        ("ab" * 7, 15, True),
        ("ab" * 7, 14, False),
        ("abc" * 5, 15, False),
        ("abc" * 5, 16, True),
        ("", 5, False),
    ],
)
def test_repeats_need_a_blank_and_a_word_fewer_characters_than_columns(word: str, columns: int, fits: bool) -> None:
    assert fits_ctc(word, columns) is fits


def test_alignment_expects_each_character_over_its_share_of_the_columns() -> None:
    logits = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 6, BLANK + 1)))

    found = float(alignment_loss(logits, ["ab", "xyz"]))

    expected: list[float] = []
    for row, letters in ((0, "aaabbb"), (1, "xxyyzz")):
        for column, letter in enumerate(letters):
            expected.append(-math.log(float(logits[row, column].softmax(0)[ALPHABET.index(letter)])))
    assert found == pytest.approx(sum(expected) / 12, rel=1e-6)
