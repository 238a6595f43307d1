"""Both losses against references written as plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from glyphseek.models.cayn.losses import itc_loss, itm_loss


def logits(count: int = 4) -> torch.Tensor:
    return 3 * torch.randn(count, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def itc_by_loops(table: list[list[float]], left_out: set[tuple[int, int]]) -> float:
    count, total = len(table), 0.0
    for b in range(count):
        row = [table[b][j] for j in range(count) if (b, j) not in left_out]
        column = [table[i][b] for i in range(count) if (i, b) not in left_out]
        for values in (row, column):
            total += math.log(sum(math.exp(value) for value in values)) - table[b][b]
    return total / (2 * count)


def test_contrast_is_symmetric_over_texts_and_images() -> None:
    assert float(itc_loss(logits())) == pytest.approx(itc_by_loops(logits().tolist(), set()), abs=1e-12)


def test_calibrated_contrast_leaves_true_pairs_out_of_the_negatives() -> None:
    is_true = torch.eye(4, dtype=torch.bool)
    is_true[0, 2] = is_true[3, 1] = True

    found = float(itc_loss(logits(), is_true))

    assert found == pytest.approx(itc_by_loops(logits().tolist(), {(0, 2), (3, 1)}), abs=1e-12)


def test_matching_is_the_mean_cross_entropy_of_all_pairs() -> None:
    given = torch.tensor([[0.3, 1.2], [2.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    is_match = torch.tensor([True, False, True])

    found = float(itm_loss(given, is_match))

    expected = [
        math.log(math.exp(a) + math.exp(b)) - (b if m else a)
        for (a, b), m in zip(given.tolist(), is_match.tolist(), strict=True)
    ]
    assert found == pytest.approx(sum(expected) / 3, abs=1e-12)
