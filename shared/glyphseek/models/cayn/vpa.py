"""VPA, the visual position adapter: tells each token of a frozen high-resolution trunk where in the image it stands.

The paper gives its place and its number of parameters, not its inside. This is the block that fits all published
numbers within 1 %: coordinate attention (Hou et al., 2021) as a residual. Rows and columns of the grid are averaged,
reduced to C / r by one shared layer, and expanded again by one layer for rows and one for columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glyphseek.models.cayn.settings import VpaForm


class VisualPositionAdapter(nn.Module):
    """x + VPA(x) on a token grid; equal to x until it is trained, because both expansions start at zero.

    The reduction has no bias, because batch norm follows it, and rows and columns share one, because their terms are
    added: 3 C C/r + C + 2 C/r parameters.
    """

    def __init__(self, width: int, reduction: int, form: VpaForm = "add") -> None:
        super().__init__()
        self._form = form
        self.reduce = nn.Linear(width, width // reduction, bias=False)
        self.norm = nn.BatchNorm1d(width // reduction)
        self.expand_rows = nn.Linear(width // reduction, width, bias=False)
        self.expand_columns = nn.Linear(width // reduction, width)
        nn.init.zeros_(self.expand_rows.weight)
        nn.init.zeros_(self.expand_columns.weight)
        nn.init.zeros_(self.expand_columns.bias)

    def forward(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> Tensor:
        """Return the adapted tokens. Padding takes no part in any average; what comes back there has no meaning."""
        rows = average_tokens(tokens_BHWC, is_padding_BHW, dim=2)
        columns = average_tokens(tokens_BHWC, is_padding_BHW, dim=1)
        has_row, has_column = ~is_padding_BHW.all(2), ~is_padding_BHW.all(1)
        told = nn.functional.hardswish(self.norm(self.reduce(torch.cat([rows[has_row], columns[has_column]]))))
        count = int(has_row.sum())
        row_terms = torch.zeros_like(rows).masked_scatter(has_row[..., None], self.expand_rows(told[:count]))
        column_terms = torch.zeros_like(columns).masked_scatter(
            has_column[..., None], self.expand_columns(told[count:])
        )
        change = row_terms[:, :, None] + column_terms[:, None]
        return tokens_BHWC + (change * tokens_BHWC if self._form == "scale" else change)


def average_tokens(tokens_BHWC: Tensor, is_padding_BHW: Tensor, *, dim: int) -> Tensor:
    """Return the mean of the tokens that are not padding along `dim` (1 or 2); zero where all of them are."""
    kept = (~is_padding_BHW)[..., None].to(tokens_BHWC.dtype)
    return (tokens_BHWC * kept).sum(dim) / kept.sum(dim).clamp_min(1)
