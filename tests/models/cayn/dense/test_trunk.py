"""The choice of tokens against plain loops, and that padding is invisible."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from glyphseek.errors import SettingError
from glyphseek.models.cayn.dense.settings import STRIDE, TINY
from glyphseek.models.cayn.dense.trunk import TEXT_SCALE, Trunk, best_of_cells, choose_tokens, halve, text_logits


def test_a_cell_keeps_its_token_most_like_text() -> None:
    tokens_BCHW = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    chosen = best_of_cells(tokens_BCHW, 2, 3)
    assert chosen.shape == (2, 2, 2, 5)
    for image in range(2):
        for row in range(2):
            for column in range(2):
                cell = tokens_BCHW[image, :, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3].flatten(1).T
                best = max(cell, key=lambda token: float(token[-1]))
                assert torch.equal(chosen[image, row, column], best)


def test_the_best_level_wins_a_cell_and_a_large_token_stands_for_all_its_cells() -> None:
    fine = torch.zeros(1, 2, 4, 4)
    coarse = torch.zeros(1, 2, 2, 2)
    coarsest = torch.zeros(1, 2, 1, 1)
    fine[0, :, 1, 1] = torch.tensor([1.0, 3.0])
    coarse[0, :, 0, 1] = torch.tensor([2.0, 2.0])
    coarsest[0, :, 0, 0] = torch.tensor([3.0, 1.0])
    chosen = choose_tokens([fine, coarse, coarsest], 2 * STRIDE, 2 * STRIDE)
    assert chosen[0, :, :, 0].tolist() == [[1.0, 2.0], [3.0, 3.0]]


def test_the_last_number_of_a_token_is_its_text_logit() -> None:
    tokens = torch.tensor([[1.0, 2.0, 0.5]])
    assert text_logits(tokens).tolist() == [0.5 * TEXT_SCALE]


def test_an_untrained_trunk_sees_text_nowhere() -> None:
    trunk = Trunk(TINY).eval()
    assert torch.allclose(text_logits(trunk(torch.randn(1, 3, 32, 32)), 1), torch.tensor(-4.0))


def test_halving_averages_content_alone() -> None:
    image = torch.tensor([[[[1.0, 3.0, 5.0, 9.0], [5.0, 7.0, 7.0, 9.0]]]])
    is_content = torch.tensor([[[[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]]])
    half, mask = halve(image, is_content)
    assert half.tolist() == [[[[4.0, 6.0]]]]
    assert mask is not None
    assert mask.tolist() == [[[[1.0, 1.0]]]]


@pytest.mark.parametrize("change", [{"cell_rows": 12}, {"cell_columns": 64}, {"mixer_rows": 4}, {"heads": 5}])
def test_sizes_that_cannot_be_built_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(SettingError):
        replace(TINY, **change)
