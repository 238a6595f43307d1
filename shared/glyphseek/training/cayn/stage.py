"""What the paper trains: position adapter and match head, on (photo, word) samples, by contrast and matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from glyphseek.errors import InputError
from glyphseek.models.cayn.network import Cayn, EncodedTexts
from glyphseek.models.cayn.objective import training_terms
from glyphseek.models.cayn.settings import LossSettings
from glyphseek.training.cayn.cache import TokenCache, stack_tokens
from glyphseek.training.cayn.photos import Sample, WordPhoto, list_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterStageSettings:
    """Batch and objective. The paper states no batch; this one is FDP's, by the same group."""

    batch: int = 48
    shortest_word: int = 3
    """Shorter words are not asked for in training, as the benchmarks do not ask for them."""
    losses: LossSettings = field(default_factory=LossSettings)


class Trainee(nn.Module):
    """The trained parts of a network and a view of the whole: a run keeps 1 MB and not the frozen backbone.

    They are adapter and head, and the attention of a pool that nobody has trained before.
    """

    def __init__(self, network: Cayn) -> None:
        super().__init__()
        self.vpa = network.vpa
        self.head = network.head
        self.attention = network.backbone.trainable_attention()
        self._whole = (network,)  # in a tuple, so that the backbone is not one of this module's parts

    @property
    def whole(self) -> Cayn:
        """Return the network to which the parts belong."""
        return self._whole[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the parts there are. Raises InputError when the settings leave nothing to train."""
        parts = tuple(name for name, _ in self.named_children())
        if not parts:
            raise InputError(f"preset {self.whole.settings.name!r} has neither adapter nor head: nothing to train")
        return parts


class AdapterStage:
    """Draws batches of samples, at most one of each (photo, word) a batch, and computes L_ITC + lambda L_ITM."""

    name = "adapter"

    def __init__(
        self,
        trainee: Trainee,
        photos: Sequence[WordPhoto],
        tokens: TokenCache,
        texts: TextCache,
        settings: AdapterStageSettings,
    ) -> None:
        self.parts = trainee.parts
        self._photos = list(photos)
        self._samples = list_samples(self._photos, trainee.whole.settings, settings.shortest_word)
        if len(self._samples) < 2:
            raise InputError(f"{len(self._samples)} words to train on; a batch contrasts two or more")
        self._settings = settings
        self._tokens, self._texts = tokens, texts

    def loss(self, network: Trainee, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named terms whose sum is trained, on one fresh batch."""
        del step
        samples = self._draw(rng)
        whole = network.whole
        photos = [self._photos[sample.photo] for sample in samples]
        tokens_BHWC, is_padding_BHW = stack_tokens([self._tokens.read(photo.path) for photo in photos])
        device = whole.backbone.logit_scale.device
        words = [sample.word for sample in samples]
        return training_terms(
            whole,
            self._texts.read(words),
            whole.encode_tokens(tokens_BHWC.to(device), is_padding_BHW.to(device), compact=True),
            words,
            [photo.words for photo in photos],
            self._settings.losses,
            torch.Generator().manual_seed(int(rng.integers(2**62))),
        )

    def close(self) -> None:
        """Nothing runs beside the trainer."""

    def _draw(self, rng: np.random.Generator) -> list[Sample]:
        count = min(self._settings.batch, len(self._samples))
        return [self._samples[i] for i in rng.choice(len(self._samples), count, replace=False)]


class TextCache:
    """Words through the frozen text tower, each once."""

    def __init__(self, network: Cayn) -> None:
        self._network = network
        self._held: dict[str, tuple[Tensor, Tensor]] = {}

    def read(self, words: Sequence[str]) -> EncodedTexts:
        """Return the words in the joint space, in their order. Raises QueryError for one that cannot be read."""
        missing = [word for word in dict.fromkeys(words) if word not in self._held]
        if missing:
            with torch.no_grad():
                texts = self._network.encode_texts(missing)
            for index, word in enumerate(missing):
                self._held[word] = (texts.global_QE[index], texts.tokens_QTE[index, ~texts.is_padding_QT[index]])
        tokens = [self._held[word][1] for word in words]
        lengths_Q = torch.tensor([len(rows) for rows in tokens], device=tokens[0].device)
        tokens_QTE = pad_sequence(tokens, batch_first=True)
        return EncodedTexts(
            global_QE=torch.stack([self._held[word][0] for word in words]),
            tokens_QTE=tokens_QTE,
            is_padding_QT=torch.arange(tokens_QTE.shape[1], device=tokens[0].device) >= lengths_Q[:, None],
        )
