"""The two sequence-to-sequence modules (S2SM) that bring a word in an image and a typed word into one space.

Shape legend: N words in images, Q typed words, T steps, S columns before steps are pooled, C numbers per step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.tdsl.backbone import ResidualBlock, residual_stage
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings

ANY_CHARACTER = "?"
"""Stands for a character that is not known, in the tail of a prefix."""


class ImageSequence(nn.Module):
    """Image-S2SM: a pooled word becomes S columns, BiLSTMs read them, and T steps of C numbers come out.

    What is not in the paper changes nothing before it is trained: residual blocks begin as the identity and the second
    BiLSTM adds nothing, so that a trained reader can be deepened and trained on.
    """

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        stages = (3, *settings.stem_channels)
        self.stem = nn.Sequential(*(residual_stage(stages[i], stages[i + 1]) for i in range(len(stages) - 1)))
        width = settings.sequence_width
        inputs = settings.stem_channels[-1] if settings.stem_channels else settings.pyramid_width
        self.convolutions = shrinking_convolutions(inputs, width, settings.sequence_blocks)
        self.lstm = Recurrence(width, settings.lstm_width)
        self.project = nn.Linear(2 * settings.lstm_width, settings.step_width)
        self.again = SecondReading(settings) if settings.reads_twice else None
        self.steps = settings.steps

    def forward(self, rois_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, T, C) and, for CTC, the same before its steps were pooled (N, S, C)."""
        features = self.convolutions(self.stem(rois_NCHW))
        read_NSC = self.lstm(features.mean(2).transpose(1, 2))
        columns_NSC = self.project(read_NSC)
        if self.again is not None:
            columns_NSC = columns_NSC + self.again(read_NSC)
        pooled = functional.adaptive_avg_pool1d(columns_NSC.transpose(1, 2), self.steps).transpose(1, 2)
        return pooled, columns_NSC


def shrinking_convolutions(inputs: int, width: int, blocks: int) -> nn.Sequential:
    """Return two convolutions that halve the rows, and after each of them so many residual blocks."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(2):
        layers[f"{3 * i}"] = nn.Conv2d(width if i else inputs, width, 3, (2, 1), 1)
        layers[f"{3 * i + 1}"] = PlanarGroupNorm(min(32, width // 4), width)
        layers[f"{3 * i + 2}"] = nn.ReLU(inplace=True)
        if blocks:
            layers[f"blocks{i}"] = nn.Sequential(*(ResidualBlock(width, identity=True) for _ in range(blocks)))
    return nn.Sequential(layers)


class SecondReading(nn.Module):
    """A BiLSTM over what the first one read, and what it adds to the columns: nothing before it is trained."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        self.lstm = Recurrence(2 * settings.lstm_width, settings.lstm_width)
        self.project = nn.Linear(2 * settings.lstm_width, settings.step_width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, read_NSC: Tensor) -> Tensor:
        """Return (N, S, C)."""
        return self.project(self.lstm(read_NSC))


class PlanarGroupNorm(nn.GroupNorm):
    """Group norm that goes over planes of channels: several times as fast on a CPU as over channels-last memory."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised features, same shape, in channels-last memory."""
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)


class Recurrence(nn.LSTM):
    """A BiLSTM of which only the outputs are wanted."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, bidirectional=True, batch_first=True)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return (N, S, 2 * width) of (N, S, inputs)."""
        return super().forward(input, hx)[0]


class TextSequence(nn.Module):
    """Word embedding and Text-S2SM: characters, stretched to T steps, read by a BiLSTM."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        width = settings.character_width
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.inner = nn.Linear(width, width)
        self.lstm = Recurrence(width, settings.lstm_width)
        self.project = nn.Linear(2 * settings.lstm_width, settings.step_width)
        self.steps = settings.steps

    def forward(self, words: Sequence[str]) -> Tensor:
        """Return the embeddings (Q, T, C) of words of `ALPHABET` characters (or `ANY_CHARACTER`); no word is empty."""
        stretched = torch.stack([self._stretch(word) for word in words])
        return self.project(self.lstm(torch.relu(self.inner(stretched))))

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
