"""Stages `detector`, `boxes` and `joint`: scenes at low resolution, with the losses of one part or of all of TDSL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.errors import SettingError
from glyphseek.models.tdsl.augmentation import augment_word
from glyphseek.models.tdsl.detector import assign_targets, detection_terms
from glyphseek.models.tdsl.losses import ctc_loss, similarity_loss
from glyphseek.models.tdsl.network import DIVISOR, Tdsl
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.training.annotated import is_held_out_word, read_annotated_photos
from glyphseek.training.bending import bend_scene
from glyphseek.training.boxes import box_terms
from glyphseek.training.compute import ON_CPU, Compute
from glyphseek.training.replay import ReplayPool
from glyphseek.training.scenes import SceneBatch, TrainingScene, batch_scenes, cut_scene, make_scenes, read_scene

SceneLosses = Literal["detector", "boxes", "joint"]
"""Which losses a stage over scenes trains: the detector's, those of a second look at its boxes, or all of TDSL's."""
PARTS: Mapping[SceneLosses, tuple[str, ...]] = {
    "detector": ("pyramid", "detector"),
    "boxes": ("refiner",),
    "joint": ("pyramid", "detector", "image_sequence", "text_sequence", "ctc"),
}
MOST_WORDS = 64
"""Words of one batch that the sequence modules read in the joint stage; more are drawn at random."""

SCENES: Mapping[SceneLosses, SceneSettings] = {
    "detector": SceneSettings(badges=0.1, seals=0.25, turned=0.15),
    "boxes": SceneSettings(fewest=4, most=14, badges=0.15, seals=0.2, turned=0.15),
    "joint": SceneSettings(),
}
"""What is rendered for each: to find and to tell how words run takes more of those on arcs and slopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneStageSettings:
    """Data and batch of the stages that read scenes."""

    real: tuple[Path, ...] = ()
    """Annotated galleries; the held-out fold of each is left out."""
    backgrounds: Path | None = None
    real_share: float = 0.4
    batch: int = 4
    """Windows of the middle one of `sides` a step; of another size, about as many as have the same area."""
    sides: tuple[int, ...] = (320, 416, 640)
    """Each step cuts windows of one of these sizes, in pixels of the detector's input: multiples of 32."""
    scales: tuple[float, float] = (0.5, 1.5)
    """Rendered scenes are resized by a factor drawn log-uniformly from this range before they are cut."""
    longer_side: int = 1280
    """Real photos are shrunk to this longer side first."""
    bent: float = 0.5
    """Share of windows of real photos that are cut from the photo bent, see `bending`."""
    real_scales: tuple[float, float] = (0.4, 1.3)
    """As `scales`, for real photos of `longer_side`."""
    width: int = 720
    height: int = 540
    pool: int = 3000
    workers: int = 1
    start_with: int = 200
    reuse: float = 4.0
    """How often a rendered sample is drawn on average."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse windows that the trunk cannot halve five times."""
        if any(side % DIVISOR for side in self.sides):
            raise SettingError(f"window sides must divide by {DIVISOR}; {self.sides} do not")


class SceneStage:
    """Draws batches of scene windows; `kind` says which losses are trained.

    `make` makes scenes in each renderer process, as a `ReplayPool` wants it; unless given, they are rendered.
    """

    def __init__(
        self,
        settings: SceneStageSettings,
        kind: SceneLosses = "detector",
        *,
        compute: Compute = ON_CPU,
        make: Callable[[int], Callable[[], list[TrainingScene]]] | None = None,
    ) -> None:
        self.name: SceneLosses = kind
        self.parts = PARTS[kind]
        self._settings, self._compute = settings, compute
        self._pool = ReplayPool(
            make or partial(make_scenes, settings.width, settings.height, settings.backgrounds, settings=SCENES[kind]),
            capacity=settings.pool,
            workers=settings.workers,
            seed=settings.seed,
            start_with=settings.start_with,
            reuse=settings.reuse,
        )
        self._real = [
            read_scene(photo, settings.longer_side)
            for folder in settings.real
            for photo in read_annotated_photos(folder, held_out=False)
        ]

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named terms whose sum is trained, on one fresh batch; the same at every step."""
        del step
        return scene_terms(network, self._draw(rng), rng, self.name, self._compute)

    def close(self) -> None:
        """Stop the renderer's processes."""
        self._pool.close()

    def _draw(self, rng: np.random.Generator) -> SceneBatch:
        settings = self._settings
        side, count = draw_window_size(settings, rng)
        scenes: list[TrainingScene] = []
        for _ in range(count):
            is_real = bool(self._real) and rng.random() < settings.real_share
            scene = self._real[int(rng.integers(len(self._real)))] if is_real else self._pool.draw(1, rng)[0]
            if is_real and rng.random() < settings.bent:
                scene = bend_scene(scene, rng)
            bounds = settings.real_scales if is_real else settings.scales
            scenes.append(cut_scene(scene, side, float(np.exp(rng.uniform(*np.log(bounds)))), rng))
        return batch_scenes(scenes)


def draw_window_size(settings: SceneStageSettings, rng: np.random.Generator) -> tuple[int, int]:
    """Return the side of a step's windows and how many of them have about the area of a usual batch, at least one."""
    side = int(rng.choice(settings.sides))
    usual = sorted(settings.sides)[len(settings.sides) // 2]
    return side, max(1, round(settings.batch * (usual / side) ** 2))


def scene_terms(
    network: Tdsl, batch: SceneBatch, rng: np.random.Generator, kind: SceneLosses, compute: Compute = ON_CPU
) -> dict[str, Tensor]:
    """Return the named terms of a batch of windows: of the detector, for `joint` of reading too, or of its boxes."""
    settings = network.settings
    batch = batch.to(compute.device)
    images = network.normalize(augment_photo(batch.images_B3HW, rng))
    if kind == "boxes":
        return box_terms(network, images, batch, rng, compute)
    with compute.autocast():
        levels = network.levels(images)
        output = network.detect(levels)
    targets = [
        assign_targets(output.points_A2, output.strides_A, boxes, ignored, settings.level_limits)
        for boxes, ignored in zip(batch.boxes, batch.ignored, strict=True)
    ]
    terms = detection_terms(output, targets, "iou" if settings.score_by_centredness else "centredness")
    terms["box"] = settings.box_weight * terms["box"]
    if kind == "joint":
        sharp = {stride: level.float() for stride, level in levels.items()}
        terms |= reading_terms(network, images, sharp, batch, rng)
    return terms


def reading_terms(
    network: Tdsl, images: Tensor, levels: dict[int, Tensor], batch: SceneBatch, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Return TDSL's similarity and CTC terms on the words of a scene batch, pooled from their true boxes.

    Both are 0 for a batch without a word that is learned from.
    """
    rois: list[Tensor] = []
    words: list[str] = []
    for image, (boxes, texts) in enumerate(zip(batch.boxes, batch.words, strict=True)):
        chosen = [i for i, text in enumerate(texts) if text is not None and not is_held_out_word(text)]
        chosen = list(rng.permutation(chosen))[: MOST_WORDS // len(batch.boxes)]
        if chosen:
            rois.append(network.pool_words(images[image], levels, image, boxes[torch.tensor(chosen)]))
            words += [text for i in chosen if (text := texts[i]) is not None]
    if not words:
        return {"similarity": images.new_zeros(()), "ctc": images.new_zeros(())}
    embedding, columns = network.image_sequence(torch.cat(rois))
    asked = [*words, *(augment_word(word, rng) for word in words)]
    typed = unit_vectors(network.text_sequence(asked))
    return {
        "similarity": similarity_loss(typed, asked, unit_vectors(embedding), words),
        "ctc": ctc_loss(network.ctc(columns), words),
    }


def augment_photo(images_B3HW: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the images brightened, re-contrasted and sometimes inverted at random, one draw an image."""
    count = images_B3HW.shape[0]
    device = images_B3HW.device
    gain = torch.from_numpy(rng.uniform(0.6, 1.3, (count, 1, 1, 1))).float().to(device)
    bias = torch.from_numpy(rng.uniform(-40, 40, (count, 1, 1, 1))).float().to(device)
    inverted = torch.from_numpy(rng.random(count) < 0.1).view(-1, 1, 1, 1).to(device)
    images = images_B3HW.float()
    images = torch.where(inverted, 255 - images, images)
    return ((images - 128) * gain + 128 + bias).clamp(0, 255)
