"""Puts a stage, its data, its validation and its run folder together from a flat description."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import TdslSettings, find_preset
from glyphseek.training.annotated import spell
from glyphseek.training.detection import SceneStage, SceneStageSettings
from glyphseek.training.loop import LoopSettings, Stage, run_stage
from glyphseek.training.rendering import open_crop_renderer
from glyphseek.training.run import Progress, RunFolder
from glyphseek.training.validation import DetectionValidation, WordValidation, held_out_scenes, real_crops
from glyphseek.training.words import Crop, WordStage, WordStageSettings

RENDERED_VALIDATION_CROPS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One call of the trainer. None means the stage's own default."""

    stage: Literal["words", "detector", "joint"]
    run: Path
    preset: str
    steps: int
    batch: int | None = None
    rate: float = 1e-3
    start: tuple[Path, ...] = ()
    real: tuple[Path, ...] = ()
    real_share: float | None = None
    backgrounds: Path | None = None
    workers: int = 1
    pool: int | None = None
    start_with: int | None = None
    save_every: int = 500
    validate_every: int = 1000
    seed: int = 0

    def command(self) -> str:
        """Return the command line that runs this recipe."""
        words = ["glyphseek", "train", self.stage]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "stage" or value is None or value == field.default:
                continue
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{field.name.replace('_', '-')}", str(one)]
        return shlex.join(words)


def run_recipe(recipe: Recipe, *, report: Callable[[dict[str, float]], None]) -> Progress:
    """Train the recipe's stage to its last step and return where it ended; resumes the run folder if it has a state."""
    torch.manual_seed(recipe.seed)
    preset = find_preset(recipe.preset)
    network = Tdsl(preset).to(memory_format=torch.channels_last)
    for folder in recipe.start:
        take_trained_parts(network, RunFolder(folder))
    stage, batch, validate = build_stage(recipe, preset)
    loop = LoopSettings(
        steps=recipe.steps,
        rate=recipe.rate,
        save_every=recipe.save_every,
        validate_every=recipe.validate_every,
        seed=recipe.seed,
    )
    try:
        return run_stage(network, stage, RunFolder(recipe.run), loop, batch=batch, validate=validate, report=report)
    finally:
        stage.close()


def take_trained_parts(network: Tdsl, folder: RunFolder) -> None:
    """Load from a run the parts that its stage trained, named in its parts.txt, and leave the others as they are."""
    parts = tuple((folder.path / "parts.txt").read_text().split())
    tensors = {name: value for name, value in folder.weights().items() if name.split(".")[0] in parts}
    network.load_state_dict(tensors, strict=False)


def build_stage(recipe: Recipe, preset: TdslSettings) -> tuple[Stage, int, Callable[[Tdsl], dict[str, float]]]:
    """Return the stage, its batch size and its validation."""
    given = {
        "batch": recipe.batch,
        "pool": recipe.pool,
        "start_with": recipe.start_with,
        "real_share": recipe.real_share,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    stage: Stage
    if recipe.stage == "words":
        words = replace(
            WordStageSettings(
                real=recipe.real, backgrounds=recipe.backgrounds, workers=recipe.workers, seed=recipe.seed
            ),
            **changes,
        )
        stage, batch, validate = WordStage(preset, words), words.batch, WordValidation(validation_crops(recipe, preset))
    else:
        scenes = replace(
            SceneStageSettings(
                real=recipe.real, backgrounds=recipe.backgrounds, workers=recipe.workers, seed=recipe.seed
            ),
            **changes,
        )
        stage, batch = SceneStage(preset, scenes, recipe.stage), scenes.batch
        validate = DetectionValidation([s for folder in recipe.real for s in held_out_scenes(folder, preset)])
    recipe.run.mkdir(parents=True, exist_ok=True)
    (recipe.run / "parts.txt").write_text(" ".join(stage.parts))
    (recipe.run / "command.txt").write_text(recipe.command() + "\n")
    return stage, batch, validate


def validation_crops(recipe: Recipe, preset: TdslSettings) -> dict[str, list[Crop]]:
    """Return rendered crops of another seed than training's, and the real ones of the held-out folds."""
    renderer, rng = open_crop_renderer(recipe.backgrounds), np.random.default_rng([recipe.seed, 1_000_003])
    rendered: list[Crop] = []
    while len(rendered) < RENDERED_VALIDATION_CROPS:
        pixels, text = renderer.render(rng, preset.roi_rows, preset.roi_columns)
        if word := spell(text):
            rendered.append((pixels, word))
    return {"rendered": rendered, "real": [crop for folder in recipe.real for crop in real_crops(folder, preset)]}
