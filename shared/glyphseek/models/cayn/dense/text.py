"""The character-level text tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glyphseek.models.cayn.dense.settings import ALPHABET, DenseSettings

SPACE = len(ALPHABET)
PADDING = SPACE + 1


class TextTower(nn.Module):
    """A transformer over characters that know their place from both ends of the text."""

    def __init__(self, settings: DenseSettings) -> None:
        super().__init__()
        width = settings.text_width
        self.characters = nn.Embedding(len(ALPHABET) + 2, width, padding_idx=PADDING)
        self.from_start = nn.Embedding(settings.max_characters, width)
        self.from_end = nn.Embedding(settings.max_characters, width)
        layer = nn.TransformerEncoderLayer(
            width, settings.text_heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, settings.text_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, settings.joint_width, bias=False)
        for table in (self.characters, self.from_start, self.from_end):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return texts (Q, E), their characters (Q, T, E), and where there is none (Q, T); nothing is normalised.

        A text is the mean of its characters. Texts hold characters of `ALPHABET` and spaces, at least one.
        """
        device = self.project.weight.device
        codes, is_padding = encode_characters(texts)
        codes, is_padding = codes.to(device), is_padding.to(device)
        lengths = (~is_padding).sum(1, keepdim=True)
        places = torch.arange(codes.shape[1], device=device)[None]
        x = self.characters(codes) + self.from_start(places) + self.from_end((lengths - 1 - places).clamp(min=0))
        x = self.norm(self.layers(x, src_key_padding_mask=is_padding))
        tokens = self.project(x) * (~is_padding)[..., None]
        return tokens.sum(1) / lengths, tokens, is_padding


def encode_characters(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the codes of the characters (Q, T) and whether a place is padding (Q, T)."""
    longest = max(map(len, texts))
    codes = torch.full((len(texts), longest), PADDING)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = torch.tensor([SPACE if c == " " else ALPHABET.index(c) for c in text])
    return codes, codes == PADDING
