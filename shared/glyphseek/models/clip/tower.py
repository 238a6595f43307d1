"""What all CLIP image towers share: pixels to a grid of cells, and a grid of any size to sequences and back.

Shape legend: B images, (H, W) token grid, C token width, E joint width, T tiles, L tokens of the longest tile, with
the pooling token in front where the tower has one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glyphseek.errors import SettingError
from glyphseek.models.cayn.backbone import Backbone
from glyphseek.models.clip.positions import GridPositions
from glyphseek.models.clip.settings import ClipSettings
from glyphseek.models.clip.text import TextTower
from glyphseek.models.clip.tiles import cut_tiles, lay_tiles, mean_by_image, own_grids, pad_sequences


class ClipBackbone(Backbone):
    """A CLIP network of open_clip, read at any resolution (EXCLIP). Subclasses know how one image tower is built.

    Every image is encoded over its own part of the grid, as a sequence, so that padding needs no place in a position
    table. At the native resolution, with one tile, the results are those of open_clip.
    """

    prefix_tokens: int
    """Tokens that the tower puts before those of the grid, 0 or 1."""

    def __init__(self, settings: ClipSettings, text: TextTower, logit_scale: nn.Parameter) -> None:
        super().__init__()
        facts = settings.facts
        self.settings = settings
        self.name = settings.architecture
        self.token_width = facts.token_width
        self.joint_width = facts.joint_width
        self.longer_side = settings.longer_side
        self.stride = self.pixel_multiple = facts.stride
        self.understands_meaning = True
        self.text = text
        self.logit_scale = logit_scale
        self.positions = GridPositions()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(facts.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(facts.deviation).view(3, 1, 1), persistent=False)

    def image_tokens(self, images_B3HW: Tensor, is_padding_BHW_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens before position and pooling, see `Backbone.image_tokens`."""
        height, width = images_B3HW.shape[-2:]
        if height % self.stride or width % self.stride:
            raise SettingError(f"the image is {width} x {height} pixels; both must be multiples of {self.stride}")
        is_padding_BHW = self._pad_cells(is_padding_BHW_pixels)
        own_grids(is_padding_BHW)
        normalised = (images_B3HW - self.mean) / self.deviation
        normalised = normalised.masked_fill(is_padding_BHW_pixels[:, None], 0.0)
        is_own_B1HW = None if not bool(is_padding_BHW.any()) else ~is_padding_BHW[:, None]
        tokens_BHWC = self.embed_pixels(normalised, is_own_B1HW).permute(0, 2, 3, 1)
        return tokens_BHWC.masked_fill(is_padding_BHW[..., None], 0.0), is_padding_BHW

    def pool(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return global_BE and local_BHWE, see `Backbone.pool`."""
        images, height, width = tokens_BHWC.shape[:3]
        tiles = cut_tiles(own_grids(is_padding_BHW), self.settings.tiles)
        sequences = [self.lay_out(tile.cut(tokens_BHWC)) for tile in tiles]
        global_TE, local_TLE = self.encode_sequences(*pad_sequences(sequences))
        local_BHWE = lay_tiles(local_TLE[:, self.prefix_tokens :], tiles, (images, height, width))
        return mean_by_image(global_TE, tiles, images), local_BHWE

    def encode_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return global_QE, tokens_QTE and is_padding_QT, see `Backbone.encode_text`."""
        return self.text.encode(texts)

    @abstractmethod
    def embed_pixels(self, normalised_B3HW: Tensor, is_own_B1HW: Tensor | None) -> Tensor:
        """Return the token grid (B, C, H, W). `is_own_B1HW` is False where a cell is padding; None: nowhere."""

    @abstractmethod
    def lay_out(self, tokens_HWC: Tensor) -> Tensor:
        """Return the (L, C) sequence of one tile with its positions, row by row, the pooling token in front."""

    @abstractmethod
    def encode_sequences(self, sequences_TLC: Tensor, is_padding_TL: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return global_TE and local_TLE (whatever in the place of the pooling token), both in the joint space."""

    def _pad_cells(self, is_padding_pixels: Tensor) -> Tensor:
        """Return whether every pixel of a cell is padding."""
        cells = is_padding_pixels.unflatten(2, (-1, self.stride)).unflatten(1, (-1, self.stride))
        return cells.all(dim=4).all(dim=2)


def attend_to(is_padding_TL: Tensor | None) -> Tensor | None:
    """Return the attention mask (T, 1, 1, L) of those keys: True where a key takes part."""
    return None if is_padding_TL is None else ~is_padding_TL[:, None, None, :]
