"""How well tokens read words they were not trained on: held-out photos and freshly rendered scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from glyphseek.models.cayn.dense.settings import STRIDE
from glyphseek.models.cayn.dense.trunk import text_logits
from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.training.annotated import is_held_out_word
from glyphseek.training.reading.reader import Reader
from glyphseek.training.scenes import TrainingScene, cut_scene

CHUNK = 16
HEIGHT = 14.0
"""Words are shown at this height in pixels, where the photo is not smaller."""
SEARCHED = 0.3
"""The word is read from the token most like text within this share of its sides around its centre."""
NEAR_MISSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WordWindow:
    """A window around one word, and its box in it."""

    pixels: NDArray[np.uint8]
    box_4: NDArray[np.float32]
    word: str


def word_windows(scenes: Sequence[TrainingScene], side: int, *, most: int, seed: int = 0) -> list[WordWindow]:
    """Return a window for each of the first `most` legible words that fit into one, at the reading height."""
    rng = np.random.default_rng(seed)
    windows: list[WordWindow] = []
    for scene in scenes:
        for item in scene.words:
            wide, tall = item.box_4[2:] - item.box_4[:2]
            scale = min(1.5, HEIGHT / max(1.0, float(min(wide, tall))))
            if item.word is None or len(item.word) < 3 or max(wide, tall) * scale > 0.9 * side:
                continue
            alone = TrainingScene(pixels=scene.pixels, words=(item,))
            cut = cut_scene(alone, side, scale, rng, around=item.box_4)
            if cut.words and cut.words[0].word is not None:
                windows.append(WordWindow(pixels=cut.pixels, box_4=cut.words[0].box_4, word=item.word))
    order = rng.permutation(len(windows))[:most]
    return [windows[i] for i in order]


class TokenValidation:
    """Words in windows, each asked for among all words of the set and near misses of them."""

    def __init__(self, windows: Mapping[str, Sequence[WordWindow]], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._windows = {name: list(group) for name, group in windows.items() if group}
        words = sorted({one.word for group in self._windows.values() for one in group})
        self._lexicon = sorted({*words, *(augment_word(word, rng) for word in words for _ in range(NEAR_MISSES))})

    @torch.inference_mode()
    def __call__(self, network: Reader) -> dict[str, float]:
        """Return per group the share of words that are most similar to their token, of all and of unseen ones."""
        lexicon = [word for word in self._lexicon if len(word) <= network.settings.max_characters]
        typed = functional.normalize(network.clip.text(lexicon)[0], dim=1)
        figures: dict[str, float] = {}
        for name, group in self._windows.items():
            found: list[str] = []
            for start in range(0, len(group), CHUNK):
                read = read_windows(network, group[start : start + CHUNK])
                found += [lexicon[i] for i in (read @ typed.T).argmax(1).tolist()]
            right = np.array([a == b.word for a, b in zip(found, group, strict=True)])
            unseen = np.array([is_held_out_word(one.word) for one in group])
            figures[f"{name}_top1"] = float(right.mean())
            if unseen.any():
                figures[f"{name}_unseen_top1"] = float(right[unseen].mean())
        return figures


def read_windows(network: Reader, windows: Sequence[WordWindow]) -> torch.Tensor:
    """Return the unit local token (N, E) most like text near the middle of each window's word."""
    pixels = torch.from_numpy(np.stack([one.pixels for one in windows])).permute(0, 3, 1, 2)
    tokens_BCHW = network.see(pixels.float())[1]
    logits_BHW = text_logits(tokens_BCHW, 1)
    columns = logits_BHW.shape[2]
    picked: list[torch.Tensor] = []
    for image, one in enumerate(windows):
        places = middle_places(one.box_4, logits_BHW.shape[1], columns)
        best = places[int(logits_BHW[image].flatten()[places].argmax())]
        picked.append(tokens_BCHW[image].flatten(1)[:, best])
    return functional.normalize(network.read(torch.stack(picked)), dim=1)


def middle_places(box_4: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.int64]:
    """Return the tokens near the middle of a box; the nearest one if there is none. rows * columns + column."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * STRIDE + STRIDE / 2
    size = box_4[2:] - box_4[:2]
    middle = (box_4[:2] + box_4[2:]) / 2
    away = np.maximum(np.abs(x - middle[0]) / size[0], np.abs(y - middle[1]) / size[1]).ravel()
    return np.flatnonzero(away <= max(SEARCHED, float(away.min())))
