"""Stage `words`: the two sequence modules learn from cropped words, rendered and real.

Reading a crop costs a twenty-sixth of detecting in a scene, so this is where most of reading is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.errors import SettingError
from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.models.tdsl.losses import alignment_loss, ctc_loss, similarity_loss
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings
from glyphseek.training.annotated import AnnotatedPhoto, is_held_out_word, read_annotated_photos, read_pixels, spell
from glyphseek.training.compute import ON_CPU, Compute
from glyphseek.training.rendering import open_crop_renderer
from glyphseek.training.replay import ReplayPool

Crop = tuple[NDArray[np.uint8], str]
"""(rows, columns, 3) RGB pixels of a word's box, and the word as the model spells it."""
RENDERED_BATCH = 64
ALIGNMENT_WEIGHT = 5.0
CTC_WEIGHT = 3.0
"""The paper has 1. Letters decide which of the recalled photos has a word, vectors only which are recalled."""
SPREAD, MOST_CUT, MOST_ADDED = 0.045, -0.12, 0.3
"""How far the sides of a real word's box are moved outwards, as a share of it: `SPREAD` times Student's t with three
degrees of freedom, clipped. Errors of the detector on held-out photos have such tails: one in twenty of its left and
right sides is 0.64 of the text's height too far out, of its upper and lower ones 0.2; medians are about zero."""
CONTEXT = 0.6
"""Real crops are kept with this share of their height around them, so that the box can be jittered."""


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
        self._size = (preset.roi_rows, preset.roi_columns)
        self._margin = preset.roi_margin
        self._pool = ReplayPool(
            make or partial(make_crops, *self._size, settings.backgrounds),
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
            (self._real[i].jittered(*self._size, self._margin, rng), self._real[i].word)
            for i in rng.integers(max(1, len(self._real)), size=count)
        ]
        return stack_crops([crop for crop, _ in samples]), [word for _, word in samples]


def stack_crops(crops: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Return (N, 3, rows, columns) uint8 in channels-last memory."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def make_crops(rows: int, columns: int, backgrounds: Path | None, seed: int) -> Callable[[], list[Crop]]:
    """Return a function that renders a batch of crops at every call; runs in a renderer process."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    renderer = open_crop_renderer(backgrounds)
    return lambda: render_crops(renderer, rng, rows, columns)


def render_crops(renderer: CropRenderer, rng: np.random.Generator, rows: int, columns: int) -> list[Crop]:
    """Return `RENDERED_BATCH` crops of words that are not held out."""
    crops: list[Crop] = []
    while len(crops) < RENDERED_BATCH:
        pixels, text = renderer.render(rng, rows, columns)
        word = spell(text)
        if word is not None and not is_held_out_word(word):
            crops.append((pixels, word))
    return crops


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPatch:
    """A real word with some of its surroundings; `box_4` is its box in the patch, in pixels."""

    pixels: NDArray[np.uint8]
    box_4: NDArray[np.float32]
    word: str

    def jittered(self, rows: int, columns: int, margin: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the word's box, widened by `margin` and moved as a detector would misplace it, at the RoI's size."""
        left, top, right, bottom = self.box_4
        width, height = right - left, bottom - top
        sides = np.minimum((width, height), 2 * height)[[0, 1, 0, 1]]
        shift = (SPREAD * rng.standard_t(3, 4)).clip(MOST_CUT, MOST_ADDED) * sides
        box = self.box_4 + np.array([-1, -1, 1, 1]) * (margin * height + shift)
        return sample_box(self.pixels, box, rows, columns)


def sample_box(pixels: NDArray[np.uint8], box_4: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the box stretched to (rows, columns, 3); outside the pixels the border is repeated."""
    height, width = pixels.shape[:2]
    left, top = max(0, int(np.floor(box_4[0]))), max(0, int(np.floor(box_4[1])))
    right, bottom = min(width, int(np.ceil(box_4[2]))), min(height, int(np.ceil(box_4[3])))
    cut = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    way = cv2.INTER_AREA if cut.shape[0] > rows and cut.shape[1] > columns else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=way), np.uint8)


def cut_words(photo: AnnotatedPhoto) -> list[WordPatch]:
    """Return the legible words of a photo that are at least 8 pixels high. Raises ImageUnreadable."""
    image = read_pixels(photo.path)
    patches: list[WordPatch] = []
    for region in photo.words:
        left, top, right, bottom = region.box_4
        around = CONTEXT * (bottom - top)
        if region.word is None or bottom - top < 8 or right - left < 4:
            continue
        corner = np.maximum(0, np.floor([left - around, top - around])).astype(int)
        end = np.ceil([right + around, bottom + around]).astype(int)
        pixels = image[corner[1] : end[1], corner[0] : end[0]].copy()
        if min(pixels.shape[:2]) >= 4:
            box = region.box_4 - np.tile(corner, 2).astype(np.float32)
            patches.append(WordPatch(pixels=pixels, box_4=box, word=region.word))
    return patches


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
