from __future__ import annotations

import math

import pytest
import torch

from glyphseek.models.cayn.negatives import Pairs, sample_negatives, true_matches
from glyphseek.models.cayn.settings import Sampling

WORDS = ["open", "exit", "open", "cafe"]
WORDS_OF_IMAGES = [{"open", "late"}, {"exit", "cafe"}, {"open"}, {"cafe", "exit", "bar"}]
DRAWS = 4000


def make_logits() -> torch.Tensor:
    return 1.5 * torch.randn(4, 4, generator=torch.Generator().manual_seed(1))


def draw_often(is_true: torch.Tensor, sampling: Sampling) -> list[Pairs]:
    generator = torch.Generator().manual_seed(2)
    return [sample_negatives(make_logits(), is_true, sampling, generator) for _ in range(DRAWS)]


def expected_shares(row: list[float], is_true: list[bool], sampling: Sampling) -> list[float]:
    weights = [
        0.0 if true else math.exp(logit) if sampling == "hem" else 1.0 for logit, true in zip(row, is_true, strict=True)
    ]
    return [weight / sum(weights) for weight in weights]


def test_a_word_matches_every_image_it_occurs_in() -> None:
    found = true_matches(WORDS, WORDS_OF_IMAGES)

    for q, word in enumerate(WORDS):
        for b, present in enumerate(WORDS_OF_IMAGES):
            assert bool(found[q, b]) is (word in present)
    assert found.tolist()[0] == [True, False, True, False]


@pytest.mark.parametrize("sampling", ["hem", "uniform"])
@pytest.mark.parametrize("side", ["texts", "images"])
def test_negatives_are_drawn_with_the_stated_probabilities(sampling: Sampling, side: str) -> None:
    is_true = true_matches(WORDS, WORDS_OF_IMAGES)

    counts = torch.zeros(4, 4)
    for pairs in draw_often(is_true, sampling):
        own = slice(0, 4) if side == "texts" else slice(4, 8)
        counts[pairs.texts_P[own], pairs.images_P[own]] += 1

    given, true = (make_logits(), is_true) if side == "texts" else (make_logits().T, is_true.T)
    shares = (counts if side == "texts" else counts.T) / DRAWS
    for row in range(4):
        expected = expected_shares(given[row].tolist(), true[row].tolist(), sampling)
        for column in range(4):
            spread = math.sqrt(expected[column] * (1 - expected[column]) / DRAWS)
            assert abs(float(shares[row, column]) - expected[column]) <= 4.5 * spread + 1e-9


def test_every_text_and_every_image_has_one_negative() -> None:
    pairs = sample_negatives(make_logits(), torch.eye(4, dtype=torch.bool), "hem", torch.Generator().manual_seed(0))

    assert pairs.texts_P[:4].tolist() == [0, 1, 2, 3]
    assert pairs.images_P[4:].tolist() == [0, 1, 2, 3]


def test_without_any_false_image_there_is_no_negative() -> None:
    is_true = torch.eye(2, dtype=torch.bool)
    is_true[0, 1] = True

    pairs = sample_negatives(torch.zeros(2, 2), is_true, "hem", torch.Generator().manual_seed(0))

    assert list(zip(pairs.texts_P.tolist(), pairs.images_P.tolist(), strict=True)) == [(1, 0), (1, 0)]


def test_a_batch_of_one_has_no_negatives() -> None:
    pairs = sample_negatives(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), "hem", torch.Generator())

    assert len(pairs.texts_P) == len(pairs.images_P) == 0


def test_extreme_logits_never_draw_a_true_pair() -> None:
    logits = torch.full((3, 3), -1e4)
    logits.fill_diagonal_(1e4)

    for seed in range(50):
        pairs = sample_negatives(logits, torch.eye(3, dtype=torch.bool), "hem", torch.Generator().manual_seed(seed))
        assert bool((pairs.texts_P != pairs.images_P).all())
