"""Position tables at any grid: resized on the fly from the trained one, which stays as it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MOST_GRIDS = 64
"""Grids kept. Photos come in a few shapes; a table of RN50 at 20 x 20 takes 3 MiB."""


class GridPositions:
    """A square table of learned positions, read at rectangular grids. Keeps the tables of the last grids.

    What is kept is thrown away when the trained table is written to or moved, and a table that is being trained is
    resized anew every time, so that gradients reach it. Safe to use from several threads: at worst one resizes twice.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._source: Tensor | None = None
        self._version = -1

    def at(self, table_SSC: Tensor, height: int, width: int) -> Tensor:
        """Return positions_HWC: the table itself at its own size, otherwise resized (bicubic, antialiased)."""
        if tuple(table_SSC.shape[:2]) == (height, width):
            return table_SSC
        if torch.is_grad_enabled() and table_SSC.requires_grad:
            return resize_table(table_SSC, height, width)
        self._forget_other(table_SSC)
        kept = self._kept.get((height, width))
        if kept is None:
            if len(self._kept) >= MOST_GRIDS:
                self._kept = {}
            with torch.inference_mode(False), torch.no_grad():
                kept = self._kept[height, width] = resize_table(table_SSC.detach(), height, width)
        return kept

    def _forget_other(self, table_SSC: Tensor) -> None:
        """Empty the cache unless it was made from this memory in this state; the memory is held, thus not reused."""
        source = self._source
        same = (
            source is not None
            and source.data_ptr() == table_SSC.data_ptr()
            and source.dtype == table_SSC.dtype
            and self._version == table_SSC._version
        )
        if not same:
            self._kept, self._source, self._version = {}, table_SSC.detach(), table_SSC._version


def resize_table(table_SSC: Tensor, height: int, width: int) -> Tensor:
    """Return the table at (height, width), by bicubic interpolation, antialiased where it shrinks."""
    planes = table_SSC.permute(2, 0, 1)[None].float()
    resized = functional.interpolate(planes, (height, width), mode="bicubic", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0).to(table_SSC.dtype)


def square(rows_NC: Tensor) -> Tensor:
    """Return the rows of a flat table as (S, S, C), S x S = N."""
    side = round(rows_NC.shape[0] ** 0.5)
    return rows_NC.unflatten(0, (side, side))
