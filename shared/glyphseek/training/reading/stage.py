"""Draws windows at the scale at which their words can be read, and computes the losses of the dense CLIP's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.models.cayn.dense.settings import ALPHABET
from glyphseek.models.cayn.dense.trunk import text_logits
from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.training.annotated import is_held_out_word, read_annotated_photos
from glyphseek.training.crops import cut_words, make_crops
from glyphseek.training.detection import augment_photo
from glyphseek.training.reading.canvases import STRETCHED_SIZE, pack_canvas, real_drawer
from glyphseek.training.reading.primer import make_primers
from glyphseek.training.reading.reader import SPELT_STEPS, Reader
from glyphseek.training.reading.targets import TokenTargets, make_targets
from glyphseek.training.reading.windows import cut_window
from glyphseek.training.replay import ReplayPool
from glyphseek.training.scenes import TrainingScene, make_scenes, read_scene

DENSE = SceneSettings(fewest=6, most=18, narrowest=0.1, widest=0.5, empty=0.0)
"""Scenes with more text than usual: a window costs the same whatever is in it."""
TEXT_WEIGHT = 20.0
"""Weight of the text term, whose mean over tokens is small because few tokens are text."""
LETTER_WEIGHT = 0.5
SPELLING_WEIGHT = 1.0
LEAST_PRIMED = 0.05
"""Share of printed windows that remains to the end."""
MOST_PLACES = 384
"""Tokens of one batch that are compared with words; more are drawn at random."""
NEAR_MISSES = 1
"""Misspelt words per word of a batch, as negatives of the contrastive term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStageSettings:
    """Data and batch of the stage."""

    real: tuple[Path, ...] = ()
    """Annotated galleries; the held-out fold of each is left out."""
    backgrounds: Path | None = None
    real_share: float = 0.3
    batch: int = 8
    canvas_share: float = 0.6
    """Share of windows that are packed with cropped words; the others are cut from scenes."""
    primed_steps: int = 1500
    """Steps over which windows of plainly printed words give way to these two."""
    primers: int = 2000
    """Printed windows kept for reuse."""
    crops: int = 60_000
    """Rendered crops kept for reuse."""
    crop_reuse: float = 4.0
    side: int = 192
    """The windows are side x side pixels."""
    width: int = 640
    height: int = 480
    longer_side: int = 1024
    """Real photos are shrunk to this longer side first."""
    pool: int = 2500
    workers: int = 1
    start_with: int = 200
    reuse: float = 6.0
    """How often a rendered scene is cut on average."""
    seed: int = 0


class TokenStage:
    """Trains trunk, value path of the pool and text tower; the attention of the pool comes later."""

    name = "tokens"
    parts = ("clip", "letters", "spelling")

    def __init__(self, settings: TokenStageSettings) -> None:
        self._settings = settings
        self._pool = ReplayPool(
            partial(make_scenes, settings.width, settings.height, settings.backgrounds, settings=DENSE),
            capacity=settings.pool,
            workers=settings.workers,
            seed=settings.seed,
            start_with=settings.start_with,
            reuse=settings.reuse,
        )
        self._crops = ReplayPool(
            partial(make_crops, *STRETCHED_SIZE, settings.backgrounds),
            capacity=settings.crops,
            workers=settings.workers,
            seed=settings.seed + 1,
            start_with=10 * settings.start_with,
            reuse=settings.crop_reuse,
        )
        self._primers = ReplayPool(
            partial(make_primers, settings.side),
            capacity=settings.primers,
            workers=settings.workers,
            seed=settings.seed + 2,
            start_with=settings.start_with,
            reuse=settings.reuse,
        )
        photos = [p for folder in settings.real for p in read_annotated_photos(folder, held_out=False)]
        self._real = [read_scene(photo, settings.longer_side) for photo in photos]
        self._patches = [p for photo in photos for p in cut_words(photo) if not is_held_out_word(p.word)]

    def loss(self, network: Reader, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named terms whose sum is trained, on one fresh batch."""
        primed = max(LEAST_PRIMED, 1 - step / self._settings.primed_steps)
        windows = [self._draw(rng, primed) for _ in range(self._settings.batch)]
        targets = [make_targets(window) for window in windows]
        pixels = torch.from_numpy(np.stack([window.pixels for window in windows])).permute(0, 3, 1, 2)
        letters_BKHW, tokens_BCHW = network.see(augment_photo(pixels, rng))
        terms = {
            "text": TEXT_WEIGHT * text_loss(text_logits(tokens_BCHW, 1), targets),
            "letters": LETTER_WEIGHT * letter_loss(letters_BKHW, targets),
        }
        return terms | word_losses(network, tokens_BCHW, targets, rng)

    def close(self) -> None:
        """Stop the renderer's processes."""
        self._pool.close()
        self._crops.close()
        self._primers.close()

    def _draw(self, rng: np.random.Generator, primed: float) -> TrainingScene:
        if rng.random() < primed:
            return self._primers.draw(1, rng)[0]
        if rng.random() < self._settings.canvas_share:
            if self._patches and rng.random() < self._settings.real_share:
                return pack_canvas(self._settings.side, real_drawer(self._patches), rng)
            return pack_canvas(self._settings.side, lambda draws: self._crops.draw(1, draws)[0], rng)
        if self._real and rng.random() < self._settings.real_share:
            scene = self._real[int(rng.integers(len(self._real)))]
        else:
            scene = self._pool.draw(1, rng)[0]
        return cut_window(scene, self._settings.side, rng)


def text_loss(logits_BHW: Tensor, targets: Sequence[TokenTargets]) -> Tensor:
    """Return the mean over tokens of the quality focal loss |y - p|^2 * BCE(p, y) (Generalized Focal Loss, eq. 5)."""
    wanted = torch.from_numpy(np.stack([one.text_HW for one in targets]))
    weight = torch.from_numpy(np.stack([one.weight_HW for one in targets]))
    loss = functional.binary_cross_entropy_with_logits(logits_BHW, wanted, reduction="none")
    return (loss * (wanted - logits_BHW.sigmoid()) ** 2 * weight).mean()


def letter_loss(logits_BKHW: Tensor, targets: Sequence[TokenTargets]) -> Tensor:
    """Return the cross entropy of the letter at each place that has one, as if all letters of a word were as wide."""
    flat = logits_BKHW.flatten(2)
    picked = torch.cat([flat[b][:, torch.from_numpy(one.letter_places_M)].T for b, one in enumerate(targets)])
    wanted = torch.from_numpy(np.concatenate([one.letters_M for one in targets]))
    return functional.cross_entropy(picked, wanted) if len(wanted) else 0 * logits_BKHW.sum()


def word_losses(
    network: Reader, tokens_BCHW: Tensor, targets: Sequence[TokenTargets], rng: np.random.Generator
) -> dict[str, Tensor]:
    """Return the contrastive and the spelling term over the tokens that stand for words that are not held out.

    Both are 0 where there are none.
    """
    places = [
        (image, place, word)
        for image, one in enumerate(targets)
        for place, word in zip(one.word_places_N.tolist(), one.words, strict=True)
        if not is_held_out_word(word) and len(word) <= network.settings.max_characters
    ]
    if not places:
        return {"contrast": tokens_BCHW.new_zeros(()), "spelling": tokens_BCHW.new_zeros(())}
    if len(places) > MOST_PLACES:
        places = [places[i] for i in rng.choice(len(places), MOST_PLACES, replace=False)]
    words = [word for _, _, word in places]
    picked = tokens_BCHW.flatten(2)[[image for image, _, _ in places], :, [place for _, place, _ in places]]
    local_NE = network.read(picked)
    return {
        "contrast": contrastive_loss(network, local_NE, words, rng),
        "spelling": SPELLING_WEIGHT * spelling_loss(network.spell(local_NE), words),
    }


def contrastive_loss(network: Reader, local_NE: Tensor, words: Sequence[str], rng: np.random.Generator) -> Tensor:
    """Return InfoNCE from tokens to words and back; misspelt words are further negatives of the first direction.

    A word may have several tokens: the way back averages over them.
    """
    asked = list(dict.fromkeys(words))
    misspelt = {augment_word(word, rng) for word in asked for _ in range(NEAR_MISSES)} - set(asked)
    limit = network.settings.max_characters
    typed_QE = network.clip.text([*asked, *(word for word in sorted(misspelt) if len(word) <= limit)])[0]
    logits_NQ = functional.normalize(local_NE, dim=1) @ functional.normalize(typed_QE, dim=1).T
    logits_NQ = logits_NQ * network.clip.logit_scale.exp().clamp(max=100)
    rows = {word: row for row, word in enumerate(asked)}
    wanted = torch.tensor([rows[word] for word in words])
    forth = functional.cross_entropy(logits_NQ, wanted)
    back_NQ = functional.log_softmax(logits_NQ[:, : len(asked)], 0)
    counts = torch.bincount(wanted, minlength=len(asked))
    back = -(back_NQ[torch.arange(len(words)), wanted] / counts[wanted]).sum() / len(asked)
    return (forth + back) / 2


def spelling_loss(logits_NSK: Tensor, words: Sequence[str]) -> Tensor:
    """Return the cross entropy of the letters at evenly spread places of each word."""
    at = (np.arange(SPELT_STEPS) + 0.5) / SPELT_STEPS
    codes = np.stack([[ALPHABET.index(word[int(place * len(word))]) for place in at] for word in words])
    return functional.cross_entropy(logits_NSK.flatten(0, 1), torch.from_numpy(codes).flatten())
