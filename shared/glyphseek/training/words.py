"""Stage `words`: the two sequence modules learn from cropped words, rendered and real.

Reading a crop costs a twenty-sixth of detecting in a scene, so this is where most of reading is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.errors import SettingError
from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.models.tdsl.losses import alignment_loss, ctc_loss, similarity_loss
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings
from glyphseek.training.annotated import is_held_out_word, read_annotated_photos
from glyphseek.training.compute import ON_CPU, Compute
from glyphseek.training.crops import Crop, Levelling, cut_words, make_crops
from glyphseek.training.replay import ReplayPool

ALIGNMENT_WEIGHT = 5.0
CTC_WEIGHT = 3.0
"""The paper has 1. Letters decide which of the recalled photos has a word, vectors only which are recalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordStageSettings:
    """Data and batch of the stage."""

    real: tuple[Path, ...] = ()
    """Annotated galleries; the held-out fold of each is left out."""
    backgrounds: Path | None = None
    real_share: float = 0.15
    batch: int = 64
    pool: int = 150_000
    workers: int = 1
    start_with: int = 4096
    reuse: float = 2.0
    """How often a rendered sample is drawn on average."""
    aligned_steps: int = 2000
    """Steps over which the alignment term gives way to CTC; 0 for weights that read already."""
    seed: int = 0


class WordStage:
    """Draws batches of crops and computes the loss of the sequence modules.

    `make` makes crops in each renderer process, as a `ReplayPool` wants it; unless given, they are rendered.
    Raises SettingError for a preset whose sequence module reads the feature pyramid.
    """

    name = "words"
    parts = ("image_sequence", "text_sequence", "ctc")

    def __init__(
        self,
        preset: TdslSettings,
        settings: WordStageSettings,
        *,
        compute: Compute = ON_CPU,
        make: Callable[[int], Callable[[], list[Crop]]] | None = None,
    ) -> None:
        if preset.roi_source != "image":
            raise SettingError(f"{preset.name} reads words from the pyramid, not from crops; its stage is 'joint'")
        self._settings, self._compute = settings, compute
        self._levelling = Levelling.of(preset)
        self._pool = ReplayPool(
            make or partial(make_crops, *self._levelling.size, settings.backgrounds, levelling=self._levelling),
            capacity=settings.pool,
            workers=settings.workers,
            seed=settings.seed,
            start_with=settings.start_with,
            reuse=settings.reuse,
        )
        self._real = [
            patch
            for folder in settings.real
            for photo in read_annotated_photos(folder, held_out=False)
            for patch in cut_words(photo)
            if not is_held_out_word(patch.word)
        ]

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named terms whose sum is trained, on one fresh batch."""
        crops, words = self._draw(rng)
        pixels = network.normalize(augment_colours(crops.to(self._compute.device), rng))
        with self._compute.autocast():
            embedding, columns = network.image_sequence(pixels)
        embedding, columns = embedding.float(), columns.float()
        asked = [*words, *(augment_word(word, rng) for word in words)]
        typed = unit_vectors(network.text_sequence(asked))
        logits = network.ctc(columns)
        aligned = 1 - step / self._settings.aligned_steps if step < self._settings.aligned_steps else 0.0
        terms = {
            "similarity": similarity_loss(typed, asked, unit_vectors(embedding), words),
            "ctc": CTC_WEIGHT * (1 - aligned) * ctc_loss(logits, words),
        }
        if aligned:
            terms["alignment"] = ALIGNMENT_WEIGHT * aligned * alignment_loss(logits, words)
        return terms

    def close(self) -> None:
        """Stop the renderer's processes."""
        self._pool.close()

    def _draw(self, rng: np.random.Generator) -> tuple[Tensor, list[str]]:
        count = round(self._settings.real_share * self._settings.batch) if self._real else 0
        samples = self._pool.draw(self._settings.batch - count, rng)
        samples += [
            (self._real[i].jittered(self._levelling, rng), self._real[i].word)
            for i in rng.integers(max(1, len(self._real)), size=count)
        ]
        return stack_crops([crop for crop, _ in samples]), [word for _, word in samples]


def stack_crops(crops: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Return (N, 3, rows, columns) uint8 in channels-last memory."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def augment_colours(crops_NCHW: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the crops with channels swapped, inverted, brightened and re-contrasted at random, one draw a crop."""
    count = crops_NCHW.shape[0]
    crops = crops_NCHW.float()
    if rng.random() < 0.5:
        crops = crops[:, torch.from_numpy(rng.permutation(3)).to(crops.device)]
    inverted = torch.from_numpy(rng.random(count) < 0.2).view(-1, 1, 1, 1).to(crops.device)
    crops = torch.where(inverted, 255 - crops, crops)
    gain = torch.from_numpy(rng.uniform(0.6, 1.3, (count, 1, 1, 1))).float().to(crops.device)
    bias = torch.from_numpy(rng.uniform(-40, 40, (count, 1, 1, 1))).float().to(crops.device)
    return ((crops - 128) * gain + 128 + bias).clamp(0, 255).contiguous(memory_format=torch.channels_last)


def greedy_words(logits_NSK: Tensor) -> list[str]:
    """Return what CTC reads by its best path: repeats merged, blanks dropped."""
    words: list[str] = []
    for codes in logits_NSK.argmax(2).tolist():
        merged = [c for i, c in enumerate(codes) if i == 0 or c != codes[i - 1]]
        words.append("".join(ALPHABET[c] for c in merged if c < len(ALPHABET)))
    return words
