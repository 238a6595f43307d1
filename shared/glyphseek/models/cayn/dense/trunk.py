"""Image to tokens: a convolutional trunk that is run over an image pyramid, and the choice of one token a cell.

The trunk reads letters of about 8 to 26 pixels; larger ones are read at a coarser level, where they have that size. A
token in the middle of a word stands for the whole word: the mixers spread what the letters are along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.cayn.dense.settings import STRIDE, DenseSettings
from glyphseek.models.cayn.pool import TEXT_SCALE, text_logits


def conv_norm(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution with batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm(channels, channels)
        self.second = conv_norm(channels, channels)

    def forward(self, x: Tensor, is_content: Tensor | None) -> Tensor:
        """Return relu(x + f(x)); padding stays zero."""
        inner = keep(torch.relu(self.first(x)), is_content)
        return keep(torch.relu(x + self.second(inner)), is_content)


class Mixer(nn.Module):
    """A wide depthwise convolution and two pointwise ones around an identity."""

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(
            channels, channels, (rows, columns), padding=(rows // 2, columns // 2), groups=channels, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, is_content: Tensor | None) -> Tensor:
        """Return x + f(x); padding stays zero."""
        return keep(x + self.narrow(torch.relu(self.widen(self.norm(self.spread(x))))), is_content)


class Trunk(nn.Module):
    """Tokens at stride 8 of one pyramid level."""

    def __init__(self, settings: DenseSettings) -> None:
        super().__init__()
        half, quarter, eighth, token = settings.channels
        self.to_2 = conv_norm(3, half, 2)
        self.to_4 = conv_norm(half, quarter, 2)
        self.block_4 = Residual(quarter)
        self.to_8 = conv_norm(quarter, eighth, 2)
        self.block_8 = Residual(eighth)
        self.mixers = nn.ModuleList(
            Mixer(eighth, settings.mixer_rows, settings.mixer_columns) for _ in range(settings.mixers)
        )
        self.norm = nn.BatchNorm2d(eighth)
        self.token = nn.Conv2d(eighth, token, 1)
        with torch.no_grad():
            self.token.weight[-1] = 0
            cast("Tensor", self.token.bias)[-1] = -4.0 / TEXT_SCALE

    def letters(self, images_B3HW: Tensor, is_content: Tensor | None) -> Tensor:
        """Return what is seen at each place before it is spread along words: (B, channels, H / 8, W / 8)."""
        x = keep(torch.relu(self.to_2(images_B3HW)), shrink_mask(is_content, 2))
        x = keep(torch.relu(self.to_4(x)), at := shrink_mask(is_content, 4))
        x = self.block_4(x, at)
        x = keep(torch.relu(self.to_8(x)), at := shrink_mask(is_content, 8))
        return self.block_8(x, at)

    def words(self, letters_BCHW: Tensor, is_content: Tensor | None) -> Tensor:
        """Return tokens (B, C, H / 8, W / 8)."""
        x, at = letters_BCHW, shrink_mask(is_content, 8)
        for mixer in self.mixers:
            x = mixer(x, at)
        return self.token(torch.relu(self.norm(x)))

    def forward(self, images_B3HW: Tensor, is_content: Tensor | None = None) -> Tensor:
        """Return the tokens (B, C, H / 8, W / 8) of images whose sides divide by 8.

        `is_content` (B, 1, H, W) is 1 on the image and 0 on padding, None without padding; content is at the top left.
        """
        return self.words(self.letters(images_B3HW, is_content), is_content)


def keep(x: Tensor, is_content: Tensor | None) -> Tensor:
    """Return x with padding set to zero, as a convolution sees what is outside of an image."""
    return x if is_content is None else x * is_content


def shrink_mask(is_content: Tensor | None, stride: int) -> Tensor | None:
    """Return the mask at a stride: a place is content if any of its pixels is."""
    return None if is_content is None else functional.max_pool2d(is_content, stride)


def halve(images_B3HW: Tensor, is_content: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the next level: means of 2 x 2 pixels, of those alone that are content."""
    if is_content is None:
        return functional.avg_pool2d(images_B3HW, 2), None
    share = functional.avg_pool2d(is_content, 2)
    mean = functional.avg_pool2d(images_B3HW * is_content, 2) / share.clamp(min=0.25)
    return mean, (share > 0).to(is_content.dtype)


def read_levels(trunk: Trunk, images_B3HW: Tensor, is_content: Tensor | None, count: int) -> list[Tensor]:
    """Return the trunk's tokens (B, C, h, w) at each of `count` pyramid levels, finest first."""
    levels: list[Tensor] = []
    for level in range(count):
        if level:
            images_B3HW, is_content = halve(images_B3HW, is_content)
        levels.append(trunk(images_B3HW.contiguous(memory_format=torch.channels_last), is_content))
    return levels


def choose_tokens(levels: Sequence[Tensor], cell_rows: int, cell_columns: int) -> Tensor:
    """Return for each cell its token most like text, (B, H, W, C); `levels` are (B, C, h, w), finest first.

    A token of a coarse level that is larger than a cell stands for all cells that it covers.
    """
    best: list[Tensor] = []
    for level, tokens_BCHW in enumerate(levels):
        side = STRIDE << level
        tokens = best_of_cells(tokens_BCHW, max(1, cell_rows // side), max(1, cell_columns // side))
        rows, columns = max(1, side // cell_rows), max(1, side // cell_columns)
        best.append(tokens.repeat_interleave(rows, 1).repeat_interleave(columns, 2))
    stacked = torch.stack(best)
    chosen = text_logits(stacked).argmax(0, keepdim=True)
    return stacked.gather(0, chosen[..., None].expand(-1, -1, -1, -1, stacked.shape[-1]))[0]


def best_of_cells(tokens_BCHW: Tensor, rows: int, columns: int) -> Tensor:
    """Return the token most like text in every cell of rows x columns tokens: (B, H / rows, W / columns, C)."""
    batch, width, height, breadth = tokens_BCHW.shape
    shape = (height // rows, breadth // columns)
    logits_BHW = text_logits(tokens_BCHW, 1)
    at = logits_BHW.view(batch, shape[0], rows, shape[1], columns).permute(0, 1, 3, 2, 4).flatten(3).argmax(3)
    row = torch.arange(shape[0], device=at.device).view(1, -1, 1) * rows + at // columns
    column = torch.arange(shape[1], device=at.device).view(1, 1, -1) * columns + at % columns
    flat = (row * breadth + column).flatten(1)
    picked = tokens_BCHW.flatten(2).gather(2, flat[:, None].expand(-1, width, -1))
    return picked.transpose(1, 2).reshape(batch, *shape, width)
