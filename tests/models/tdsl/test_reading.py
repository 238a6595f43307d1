from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.reading import FoundWords, find_words
from glyphseek.models.tdsl.settings import ALPHABET, TINY_PYRAMID

BLANK = len(ALPHABET)


def columns(*signs: tuple[int, float]) -> Tensor:
    """Return (S, A) logarithms; each column has one sign of that probability, the others share the rest."""
    rest = torch.tensor([(1 - probability) / BLANK for _, probability in signs])
    letters_SA = rest[:, None].repeat(1, BLANK + 1)
    for column, (sign, probability) in enumerate(signs):
        letters_SA[column, sign] = probability
    return letters_SA.log()


def words(*letters: Tensor, score: float = 1.0) -> FoundWords:
    count = len(letters)
    return FoundWords(
        boxes_N4=torch.arange(4.0 * count).reshape(count, 4),
        scores_N=torch.full((count,), score),
        vectors_ND=torch.arange(2.0 * count).reshape(count, 2),
        letters_NSA=torch.stack(letters) if letters else torch.zeros(0, 2, BLANK + 1),
    )


def test_words_that_nothing_sure_can_be_read_of_are_left_out_with_all_that_is_theirs() -> None:
    sure, unsure = columns((3, 0.9), (BLANK, 0.9)), columns((3, 0.1), (BLANK, 0.1))
    found = words(unsure, sure, unsure, sure).readable(-1.0)
    assert found.boxes_N4.tolist() == [[4.0, 5.0, 6.0, 7.0], [12.0, 13.0, 14.0, 15.0]]
    assert found.vectors_ND.tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert len(found.scores_N) == len(found.letters_NSA) == 2


@pytest.mark.parametrize(("score", "kept"), [(0.5, 1), (0.3, 0)])
def test_the_detectors_doubt_counts_beside_the_letters(score: float, kept: int) -> None:
    half = columns((3, 0.5), (BLANK, 1.0 - 1e-6))  # ln(0.5 * 0.5) = -1.39, ln(0.5 * 0.3) = -1.90
    assert len(words(half, score=score).readable(-1.5).scores_N) == kept


def test_where_surely_nothing_is_written_no_word_is_kept() -> None:
    nothing = columns((BLANK, 0.99), (BLANK, 0.99))
    assert len(words(nothing).readable(-100.0).scores_N) == 0
    assert len(words().readable(-100.0).scores_N) == 0


def test_the_preset_says_how_surely_words_are_read_that_are_kept() -> None:
    torch.manual_seed(1)
    network = Tdsl(TINY_PYRAMID).eval()
    bias = network.detector.heads.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = 1.0
    pixels = 255 * torch.rand(3, 64, 96)
    strict = Tdsl(replace(TINY_PYRAMID, least_reading=-1.0)).eval()
    strict.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert len(find_words(network, pixels).scores_N) > 0
        assert len(find_words(strict, pixels).scores_N) == 0
