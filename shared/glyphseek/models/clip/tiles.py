"""A batch of token grids of different sizes as sequences, and back.

Shape legend: B images, (H, W) token grid of the batch, T tiles, L tokens of the longest tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A rectangle of one image's token grid, in tokens."""

    image: int
    top: int
    left: int
    height: int
    width: int

    def cut(self, tokens_BHWC: Tensor) -> Tensor:
        """Return the tile's tokens, (height, width, C)."""
        return tokens_BHWC[self.image, self.top : self.top + self.height, self.left : self.left + self.width]


def own_grids(is_padding_BHW: Tensor) -> list[tuple[int, int]]:
    """Return the rows and columns of each image without its padding.

    Raises SettingError when padding is not right of and below the image, or an image has no token of its own.
    """
    is_own = ~is_padding_BHW
    rows_BH, columns_BW = is_own.any(dim=2), is_own.any(dim=1)
    heights, widths = rows_BH.sum(dim=1), columns_BW.sum(dim=1)
    down = torch.arange(is_own.shape[1], device=is_own.device)[None, :, None] < heights[:, None, None]
    across = torch.arange(is_own.shape[2], device=is_own.device)[None, None, :] < widths[:, None, None]
    if not bool((is_own == (down & across)).all()) or not bool(heights.all()):
        raise SettingError("padding must lie right of and below each image, and leave it at least one token")
    return [(int(height), int(width)) for height, width in zip(heights.tolist(), widths.tolist(), strict=True)]


def cut_tiles(grids: Sequence[tuple[int, int]], parts: int) -> list[Tile]:
    """Return the tiles of every image, in order: each side in `parts` (fewer where it has fewer tokens)."""
    return [
        Tile(image=image, top=top, left=left, height=height, width=width)
        for image, (rows, columns) in enumerate(grids)
        for top, height in _cut_side(rows, parts)
        for left, width in _cut_side(columns, parts)
    ]


def _cut_side(length: int, parts: int) -> list[tuple[int, int]]:
    """Return offset and length of each part; lengths differ by at most one, the longer ones first."""
    parts = min(parts, length)
    lengths = [length // parts + (part < length % parts) for part in range(parts)]
    return [(sum(lengths[:part]), lengths[part]) for part in range(parts)]


def pad_sequences(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return (L_t, C) sequences as (T, L, C), zeros after their ends, and where; None when they are equally long."""
    lengths = [sequence.shape[0] for sequence in sequences]
    padded_TLC = pad_sequence(list(sequences), batch_first=True)
    if min(lengths) == max(lengths):
        return padded_TLC, None
    ends = torch.tensor(lengths, device=padded_TLC.device)
    return padded_TLC, torch.arange(padded_TLC.shape[1], device=padded_TLC.device)[None] >= ends[:, None]


def lay_tiles(tokens_TLE: Tensor, tiles: Sequence[Tile], shape_BHW: tuple[int, int, int]) -> Tensor:
    """Return tokens_BHWE: the first height x width tokens of each sequence at its tile's place, zeros elsewhere."""
    grid_BHWE = tokens_TLE.new_zeros((*shape_BHW, tokens_TLE.shape[-1]))
    for tokens_LE, tile in zip(tokens_TLE, tiles, strict=True):
        tile.cut(grid_BHWE).copy_(tokens_LE[: tile.height * tile.width].unflatten(0, (tile.height, tile.width)))
    return grid_BHWE


def mean_by_image(vectors_TE: Tensor, tiles: Sequence[Tile], images: int) -> Tensor:
    """Return vectors_BE: the mean over the tiles of each image."""
    owners = torch.tensor([tile.image for tile in tiles], device=vectors_TE.device)
    counts = torch.bincount(owners, minlength=images)
    sums_BE = vectors_TE.new_zeros(images, vectors_TE.shape[-1]).index_add(0, owners, vectors_TE)
    return sums_BE / counts[:, None]
