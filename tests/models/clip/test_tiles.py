from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glyphseek.errors import SettingError
from glyphseek.models.clip.tiles import Tile, cut_tiles, lay_tiles, mean_by_image, own_grids, pad_sequences

GRIDS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


def padding_of(grids: list[tuple[int, int]], side: int = 9) -> torch.Tensor:
    is_padding = torch.ones(len(grids), side, side, dtype=torch.bool)
    for image, (height, width) in enumerate(grids):
        is_padding[image, :height, :width] = False
    return is_padding


@given(GRIDS)
def test_own_grids_are_read_off_the_padding(grids: list[tuple[int, int]]) -> None:
    assert own_grids(padding_of(grids)) == grids


@pytest.mark.parametrize(
    "is_padding",
    [
        torch.tensor([[[True, False], [False, False]]]),
        torch.tensor([[[True, False], [True, False]]]),
        torch.tensor([[[False, True], [True, False]]]),
        torch.ones(1, 2, 2, dtype=torch.bool),
    ],
    ids=["corner", "left", "holes", "nothing"],
)
def test_other_padding_is_refused(is_padding: torch.Tensor) -> None:
    with pytest.raises(SettingError, match="right of and below"):
        own_grids(is_padding)


@given(GRIDS, st.integers(1, 4))
def test_tiles_cut_and_laid_give_the_grid_back(grids: list[tuple[int, int]], parts: int) -> None:
    is_padding = padding_of(grids)
    tokens = torch.rand(len(grids), 9, 9, 3).masked_fill(is_padding[..., None], 0.0)
    tiles = cut_tiles(grids, parts)
    sequences, _ = pad_sequences([tile.cut(tokens).flatten(0, 1) for tile in tiles])
    assert torch.equal(lay_tiles(sequences, tiles, (len(grids), 9, 9)), tokens)


def test_parts_differ_by_at_most_one_token() -> None:
    assert [(tile.top, tile.left, tile.height, tile.width) for tile in cut_tiles([(5, 4)], 2)] == [
        (0, 0, 3, 2),
        (0, 2, 3, 2),
        (3, 0, 2, 2),
        (3, 2, 2, 2),
    ]


def test_a_side_of_one_token_is_not_cut() -> None:
    assert [(tile.height, tile.width) for tile in cut_tiles([(1, 3)], 2)] == [(1, 2), (1, 1)]


def test_equally_long_sequences_have_no_padding() -> None:
    assert pad_sequences([torch.rand(4, 2), torch.rand(4, 2)])[1] is None


def test_padding_starts_where_a_sequence_ends() -> None:
    padded, is_padding = pad_sequences([torch.ones(1, 2), torch.ones(3, 2)])
    assert is_padding is not None
    assert is_padding.tolist() == [[False, True, True], [False, False, False]]
    assert not padded[is_padding].any()


def test_vectors_are_averaged_by_image() -> None:
    tiles = [Tile(image=image, top=0, left=0, height=1, width=1) for image in (0, 0, 1)]
    means = mean_by_image(torch.tensor([[1.0], [3.0], [5.0]]), tiles, 2)
    assert means.tolist() == [[2.0], [5.0]]
