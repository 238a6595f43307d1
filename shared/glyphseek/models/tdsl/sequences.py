"""The two sequence-to-sequence modules (S2SM) that bring a word in an image and a typed word into one space.

Shape legend: N words in images, Q typed words, T steps, S columns before steps are pooled, C numbers per step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.tdsl.backbone import residual_stage
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings

ANY_CHARACTER = "?"
"""Stands for a character that is not known, in the tail of a prefix."""


class ImageSequence(nn.Module):
    """Image-S2SM: a pooled word becomes S columns, a BiLSTM reads them, and T steps of C numbers come out."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        stages = (3, *settings.stem_channels)
        self.stem = nn.Sequential(*(residual_stage(stages[i], stages[i + 1]) for i in range(len(stages) - 1)))
        width = settings.sequence_width
        inputs = settings.stem_channels[-1] if settings.stem_channels else settings.pyramid_width
        self.convolutions = nn.Sequential(
            *(
                layer
                for i in range(2)
                for layer in (
                    nn.Conv2d(width if i else inputs, width, 3, (2, 1), 1),
                    nn.GroupNorm(min(32, width // 4), width),
                    nn.ReLU(inplace=True),
                )
            )
        )
        self.lstm = nn.LSTM(width, settings.lstm_width, bidirectional=True, batch_first=True)
        self.project = nn.Linear(2 * settings.lstm_width, settings.step_width)
        self.steps = settings.steps

    def forward(self, rois_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, T, C) and, for CTC, the same before its steps were pooled (N, S, C)."""
        features = self.convolutions(self.stem(rois_NCHW))
        columns_NSC = self.project(self.lstm(features.mean(2).transpose(1, 2))[0])
        pooled = functional.adaptive_avg_pool1d(columns_NSC.transpose(1, 2), self.steps).transpose(1, 2)
        return pooled, columns_NSC


class TextSequence(nn.Module):
    """Word embedding and Text-S2SM: characters, stretched to T steps, read by a BiLSTM."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        width = settings.character_width
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.inner = nn.Linear(width, width)
        self.lstm = nn.LSTM(width, settings.lstm_width, bidirectional=True, batch_first=True)
        self.project = nn.Linear(2 * settings.lstm_width, settings.step_width)
        self.steps = settings.steps

    def forward(self, words: Sequence[str]) -> Tensor:
        """Return the embeddings (Q, T, C) of words of `ALPHABET` characters (or `ANY_CHARACTER`); no word is empty."""
        stretched = torch.stack([self._stretch(word) for word in words])
        return self.project(self.lstm(torch.relu(self.inner(stretched)))[0])

    def _stretch(self, word: str) -> Tensor:
        """Return the word's characters resized to T steps by linear interpolation between corners: (T, width)."""
        table = torch.cat([self.characters.weight, self.characters.weight.mean(0, keepdim=True)])
        device = table.device
        codes = torch.tensor([character_code(c) for c in word], device=device)
        at = torch.linspace(0, len(word) - 1, self.steps, device=device)
        before = at.floor().long()
        after = (before + 1).clamp(max=len(word) - 1)
        return torch.lerp(table[codes[before]], table[codes[after]], (at - before)[:, None])


def character_code(character: str) -> int:
    """Return the character's row in the embedding; `ANY_CHARACTER` is the one after the alphabet."""
    return len(ALPHABET) if character == ANY_CHARACTER else ALPHABET.index(character)


def unit_vectors(sequence_NTC: Tensor) -> Tensor:
    """Return tanh(vec(sequence)) at unit norm, (N, T * C): the form in which words are stored and compared."""
    return functional.normalize(torch.tanh(sequence_NTC.flatten(1)), dim=1)
