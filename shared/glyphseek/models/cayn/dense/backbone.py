"""The dense CLIP as CAYN uses it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glyphseek.errors import QueryError, SettingError
from glyphseek.models.cayn.backbone import Backbone
from glyphseek.models.cayn.dense.settings import ALPHABET, DenseSettings
from glyphseek.models.cayn.dense.text import TextTower
from glyphseek.models.cayn.dense.trunk import Trunk, choose_tokens, read_levels, text_logits
from glyphseek.models.cayn.pool import TextPool

FIRST_TEMPERATURE = 0.05


class DenseClip(Backbone):
    """A convolutional image tower over a pyramid and a character-level text tower.

    It reads and knows no meaning. Its tokens are cells, each with the token of any level that is most like text.
    """

    def __init__(self, settings: DenseSettings) -> None:
        super().__init__()
        self.settings = settings
        self.name = "dense"
        self.token_width = settings.channels[3]
        self.joint_width = settings.joint_width
        self.longer_side = settings.longer_side
        self.stride = settings.cell_columns
        self.pixel_multiple = settings.divisor
        self.understands_meaning = False
        self.trunk = Trunk(settings)
        self.attention_pool = TextPool(self.token_width, self.joint_width, settings.heads)
        self.text = TextTower(settings)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(FIRST_TEMPERATURE)))

    def image_tokens(self, images_B3HW: Tensor, is_padding_BHW_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chosen token of every cell, (B, H, W, C), and whether the cell is padding.

        Raises SettingError for sides that do not divide by `pixel_multiple`.
        """
        height, width = images_B3HW.shape[-2:]
        if height % self.pixel_multiple or width % self.pixel_multiple:
            raise SettingError(f"images of {width} x {height} px; both must divide by {self.pixel_multiple}")
        is_content = (~is_padding_BHW_pixels).to(images_B3HW.dtype)[:, None]
        images = normalize(images_B3HW) * is_content
        levels = read_levels(self.trunk, images, is_content, self.settings.levels)
        rows, columns = self.settings.cell_rows, self.settings.cell_columns
        tokens_BHWC = choose_tokens(levels, rows, columns)
        is_padding_BHW = nn.functional.max_pool2d(is_content, (rows, columns))[:, 0] == 0
        return tokens_BHWC * ~is_padding_BHW[..., None], is_padding_BHW

    def pool(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return global_BE and local_BHWE, not normalised; local tokens of padding are 0."""
        batch, rows, columns, _ = tokens_BHWC.shape
        flat, is_padding = tokens_BHWC.flatten(1, 2), is_padding_BHW.flatten(1)
        local = self.attention_pool.local(flat) * ~is_padding[..., None]
        return self.attention_pool(flat, is_padding), local.view(batch, rows, columns, -1)

    def encode_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return global_QE, tokens_QTE and is_padding_QT; a text may hold a-z, 0-9 and spaces.

        Raises QueryError for another character and for more than the settings' `max_characters`.
        """
        for text in texts:
            if not 0 < len(text) <= self.settings.max_characters:
                raise QueryError(
                    f"{text!r} has {len(text)} characters; this model reads 1 to {self.settings.max_characters}"
                )
            if unknown := sorted(set(text) - set(ALPHABET) - {" "}):
                raise QueryError(
                    f"{text!r} has {', '.join(unknown)}, which this model cannot read; it knows a-z and 0-9"
                )
        return self.text(texts)

    def trainable_attention(self) -> nn.Module:
        """Return the attention of the pool: no earlier stage has trained it."""
        return self.attention_pool.attention

    def text_likelihood(self, tokens_BHWC: Tensor) -> Tensor:
        """Return in (B, H, W) how likely the middle of a word is there, in [0, 1]."""
        return text_logits(tokens_BHWC).sigmoid()


def normalize(images: Tensor) -> Tensor:
    """Return RGB in [0, 1] as the trunk reads it: about zero mean and unit deviation."""
    return (images - 0.5) * 4
