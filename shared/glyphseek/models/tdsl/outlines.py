"""Outlines of words: where their upper and lower edges run, so that one on an arc or a slope can be read level.

An outline is six points (6, 2), x and y in pixels: the start, middle and end of the upper edge, then of the lower one,
in the order in which the word is read. An edge is the parabola through its three points. A box is the outline of a
level word.
"""

from __future__ import annotations

import torch
from torch import Tensor

ALONG = (0.0, 0.5, 1.0)
"""Where the three points of an edge are, as shares of its way."""


def outlines_of(boxes_N4: Tensor) -> Tensor:
    """Return the outlines (N, 6, 2) of level words that fill their boxes (left, top, right, bottom)."""
    corner_N12, side_N12 = boxes_N4[:, None, :2], (boxes_N4[:, 2:] - boxes_N4[:, :2])[:, None]
    shares_62 = boxes_N4.new_tensor([[x, y] for y in (0.0, 1.0) for x in ALONG])
    return corner_N12 + shares_62 * side_N12


def bounds(outlines_N62: Tensor) -> Tensor:
    """Return the boxes (N, 4) around the six points."""
    return torch.cat([outlines_N62.amin(1), outlines_N62.amax(1)], 1)


def measure(outlines_N62: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lengths (N,) of the lines between both edges, by three points, and the mean distances of the edges."""
    upper_N32, lower_N32 = outlines_N62[:, :3], outlines_N62[:, 3:]
    length_N = ((upper_N32 + lower_N32) / 2).diff(dim=1).norm(dim=2).sum(1)
    return length_N, (upper_N32 - lower_N32).norm(dim=2).mean(1)


def is_bent(outlines_N62: Tensor, boxes_N4: Tensor, below: float) -> Tensor:
    """Return (N,) whether an outline covers less than that share of its box: a word on an arc or a slope."""
    length_N, height_N = measure(outlines_N62)
    return length_N * height_N < below * (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(1)


def grown(outlines_N62: Tensor, margin: float) -> Tensor:
    """Return the outlines (N, 6, 2) grown on all four sides by `margin` times the distance of their edges."""
    length_N, height_N = measure(outlines_N62)
    more_N = margin * height_N / length_N.clamp(min=1e-6)
    edges_N232 = on_edges(outlines_N62, torch.stack([-more_N, torch.full_like(more_N, 0.5), 1 + more_N], 1))
    upper_N32, lower_N32 = edges_N232.unbind(1)
    return torch.cat([torch.lerp(upper_N32, lower_N32, -margin), torch.lerp(upper_N32, lower_N32, 1 + margin)], 1)


def places_in(outlines_N62: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the middles (N, rows, columns, 2) of the cells into which outlines are divided."""
    rows, columns = size
    along_C = (torch.arange(columns, device=outlines_N62.device) + 0.5) / columns
    down_R11 = ((torch.arange(rows, device=outlines_N62.device) + 0.5) / rows)[:, None, None]
    upper_NC2, lower_NC2 = on_edges(outlines_N62, along_C).unbind(1)
    return torch.lerp(upper_NC2[:, None], lower_NC2[:, None], down_R11)


def on_edges(outlines_N62: Tensor, shares: Tensor) -> Tensor:
    """Return the points (N, 2, S, 2) of both edges at shares (S,) or (N, S) of their way, from 0 to 1."""
    weights = torch.stack(
        [2 * (shares - 0.5) * (shares - 1), 4 * shares * (1 - shares), 2 * shares * (shares - 0.5)], -1
    )
    return (weights if shares.ndim == 1 else weights[:, None]) @ outlines_N62.unflatten(1, (2, 3))
