"""Puts a stage, its data, its validation and its run folder together from a flat description."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.cayn.dense.settings import PRESETS as DENSE_CLIPS
from glyphseek.models.cayn.dense.settings import DenseSettings
from glyphseek.models.cayn.settings import find_preset as find_cayn
from glyphseek.models.checkpoint import load_manifest
from glyphseek.models.checkpoint import load_weights as load_checkpoint
from glyphseek.models.loading import find_model
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.pretrained import load_backbone
from glyphseek.models.tdsl.settings import TdslSettings, find_preset
from glyphseek.training.annotated import read_annotated_photos, spell
from glyphseek.training.cayn.building import build_adapter_stage
from glyphseek.training.cayn.choices import change, write_settings
from glyphseek.training.cayn.stage import AdapterStageSettings, Trainee
from glyphseek.training.cayn.starting import start_network
from glyphseek.training.compute import Compute, Precision
from glyphseek.training.crops import Crop
from glyphseek.training.detection import SceneLosses, SceneStage, SceneStageSettings
from glyphseek.training.loop import LoopSettings, Stage, run_stage
from glyphseek.training.reading.reader import Reader
from glyphseek.training.reading.stage import TokenStage, TokenStageSettings
from glyphseek.training.reading.validation import TokenValidation, WordWindow, word_windows
from glyphseek.training.rendering import open_crop_renderer
from glyphseek.training.run import Progress, RunFolder, load_weights
from glyphseek.training.scenes import TrainingScene, make_scenes, read_scene
from glyphseek.training.speed import Speed, measure_speed
from glyphseek.training.together import ALONE, Processes
from glyphseek.training.validation import (
    BoxValidation,
    DetectionValidation,
    WordValidation,
    held_out_scenes,
    real_crops,
)
from glyphseek.training.words import WordStage, WordStageSettings

RENDERED_VALIDATION_CROPS = 512
RENDERED_VALIDATION_BATCHES = 30
VALIDATION_WINDOWS = 400

Trained = TypeVar("Trained", bound=nn.Module)
MakeScenes = Callable[[int], Callable[[], list[TrainingScene]]]
"""Called in each renderer process with its seed; returns what gives a batch of scenes at every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Generic[Trained]):
    """All that one call of the trainer needs: network, stage, its batch size and its validation."""

    network: Trained
    stage: Stage[Trained]
    batch: int
    validate: Callable[[Trained], dict[str, float]]
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One call of the trainer. None means the stage's own default."""

    stage: Literal["words", "detector", "boxes", "joint", "tokens", "adapter"]
    run: Path
    preset: str
    steps: int
    batch: int | None = None
    rate: float = 1e-3
    start: tuple[Path, ...] = ()
    start_from: str | None = None
    """A model, by its id or folder, whose weights the training starts from; parts of `start` replace its own."""
    backbone_weights: Path | None = None
    """Stages `detector` and `joint`: a ResNet-50 by torchvision's names, from which the trunk starts."""
    real: tuple[Path, ...] = ()
    real_share: float | None = None
    backgrounds: Path | None = None
    workers: int = 1
    pool: int | None = None
    start_with: int | None = None
    save_every: int = 500
    validate_every: int = 1000
    seed: int = 0
    weights: str | None = None
    """The frozen backbone of stage `adapter`: an open_clip tag, a file, a packaged model or a run."""
    cache: Path | None = None
    """Where stage `adapter` keeps the backbone's tokens; None is a folder of the run."""
    device: str = "cpu"
    precision: Precision = "float32"
    """What convolutions and products are computed in; weights and losses stay float32."""
    set: tuple[str, ...] = ()
    """Settings of stage `adapter` other than the preset's: `vpa=off`, `sampling=uniform`, `clip.longer_side=768`."""

    compile: bool = False
    """Compile the convolutions of TDSL's stages."""
    processes: Processes = ALONE
    """Which of how many processes trains by this recipe."""

    def compute(self) -> Compute:
        """Return where and how TDSL's stages are computed."""
        return Compute(device=self.device, precision=self.precision, backend="inductor" if self.compile else None)

    def draw_seed(self) -> int:
        """Return the seed of what is rendered and drawn from here on.

        It differs by the run's name and by the step that it goes on from, so that no stage is shown again what another
        one learned on, and by the process. Validation and first weights know `seed` alone.
        """
        step = RunFolder(self.run).step() if self.run.is_dir() else 0
        drawn = [self.seed, zlib.crc32(self.run.name.encode()), step]
        if not self.processes.leads:
            drawn.append(self.processes.rank)
        return int(np.random.SeedSequence(drawn).generate_state(1)[0])

    def command(self) -> str:
        """Return the command line that runs this recipe."""
        together = ["torchrun", "--standalone", f"--nproc-per-node={self.processes.size}", "--no-python", "--"]
        words = [*(together if self.processes.size > 1 else ()), "glyphseek", "train", self.stage]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("stage", "processes") or value is None or value == field.default:
                continue
            if value is True:
                words.append(f"--{field.name}")
                continue
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{field.name.replace('_', '-')}", str(one)]
        return shlex.join(words)


def run_recipe(recipe: Recipe, *, report: Callable[[dict[str, float]], None]) -> Progress:
    """Train the recipe's stage to its last step and return where it ended; resumes the run folder if it has a state."""
    torch.manual_seed(recipe.seed)
    check_start(recipe)
    if recipe.stage == "adapter" and recipe.processes.size > 1:
        raise SettingError(
            f"stage adapter trains in one process, not {recipe.processes.size}: its tokens' cache has one writer"
        )
    if recipe.stage == "tokens":
        return carry_out(recipe, build_token_stage(recipe), report)
    if recipe.stage == "adapter":
        return carry_out(recipe, build_adapter(recipe), report)
    return carry_out(recipe, build_stage(recipe, find_preset(recipe.preset)), report)


def check_start(recipe: Recipe) -> None:
    """Raise SettingError for weights of a backbone that the stage does not train, or that would be replaced."""
    if recipe.backbone_weights is None:
        return
    if recipe.stage not in ("detector", "joint"):
        raise SettingError(
            f"--backbone-weights are for the trunk that stages detector and joint train, not for stage {recipe.stage}"
        )
    if recipe.start_from is not None:
        raise SettingError("--start-from has a trunk already: leave --backbone-weights out")


def measure_recipe(recipe: Recipe, *, steps: int, make: MakeScenes | None = None) -> Speed:
    """Return how quickly a stage of TDSL trains, over so many steps; nothing is written. `make` as in `build_stage`.

    Raises SettingError for a stage of another method, and for one of several processes.
    """
    if recipe.processes.size > 1:
        raise SettingError("--measure times one process: start it without torchrun")
    if recipe.stage in ("tokens", "adapter"):
        raise SettingError(f"stage {recipe.stage} is not measured; stages that are: words, detector, boxes, joint")
    check_start(recipe)
    torch.manual_seed(recipe.seed)
    training, compute = build_stage(recipe, find_preset(recipe.preset), make=make), recipe.compute()
    loop = LoopSettings(steps=steps, rate=recipe.rate, seed=recipe.seed)
    try:
        network = compute.settle(training.network)
        return measure_speed(network, training.stage, compute, loop, batch=training.batch)
    finally:
        training.stage.close()


def carry_out(recipe: Recipe, training: Training[Trained], report: Callable[[dict[str, float]], None]) -> Progress:
    """Run the training in the recipe's folder, from where it stopped."""
    stage = training.stage
    network = recipe.compute().settle(training.network)
    recipe.run.mkdir(parents=True, exist_ok=True)
    if recipe.processes.leads:
        (recipe.run / "parts.txt").write_text(" ".join(stage.parts))
        (recipe.run / "command.txt").write_text(recipe.command() + "\n")
    loop = LoopSettings(
        steps=recipe.steps,
        rate=recipe.rate,
        weight_decay=training.weight_decay,
        save_every=recipe.save_every,
        validate_every=recipe.validate_every,
        seed=recipe.draw_seed(),
    )
    folder = RunFolder(recipe.run)
    try:
        return run_stage(
            network,
            stage,
            folder,
            loop,
            batch=training.batch,
            validate=training.validate,
            report=report,
            processes=recipe.processes,
        )
    finally:
        stage.close()


def take_start(network: nn.Module, recipe: Recipe) -> None:
    """Load what the recipe starts from. Raises ModelNotFound or CheckpointDamaged, best before a stage renders."""
    if recipe.start_from is not None:
        load_weights(network, read_model(recipe.start_from))
    for folder in recipe.start:
        take_trained_parts(network, RunFolder(folder))


def read_model(name: str) -> dict[str, Tensor]:
    """Return the weights of a model given by its id or folder. Raises ModelNotFound or CheckpointDamaged."""
    folder = find_model(name)
    return load_checkpoint(folder, load_manifest(folder))


def take_trained_parts(network: nn.Module, folder: RunFolder) -> None:
    """Load from a run the parts that its stage trained, named in its parts.txt, and leave the others as they are.

    So is what a part has beyond the run's: layers that a reader was deepened by. Raises CheckpointDamaged where the run
    has what the network lacks, or of another shape.
    """
    parts = tuple((folder.path / "parts.txt").read_text().split())
    tensors = {name: value for name, value in folder.weights().items() if name.split(".")[0] in parts}
    try:
        unknown = network.load_state_dict(tensors, strict=False).unexpected_keys
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointDamaged(f"{folder.path} is of another network: {first}") from error
    if unknown:
        raise CheckpointDamaged(f"{folder.path} is of another network: it has {', '.join(unknown[:3])}")


def given_settings(recipe: Recipe) -> dict[str, float]:
    """Return the data settings that the recipe states, by the name that every stage has for them."""
    given = {
        "batch": recipe.batch,
        "pool": recipe.pool,
        "start_with": recipe.start_with,
        "real_share": recipe.real_share,
    }
    return {name: value for name, value in given.items() if value is not None}


def build_stage(recipe: Recipe, preset: TdslSettings, *, make: MakeScenes | None = None) -> Training[Tdsl]:
    """Return the training of one stage of TDSL. `make` makes the scenes of those that train on scenes."""
    network = build_network(recipe, preset)
    changes: dict[str, Any] = dict(given_settings(recipe))
    if recipe.stage == "words":
        words = replace(
            WordStageSettings(
                real=recipe.real, backgrounds=recipe.backgrounds, workers=recipe.workers, seed=recipe.draw_seed()
            ),
            **changes,
            **({"aligned_steps": 0} if recipe.start or recipe.start_from else {}),
        )
        return Training(
            network=network,
            stage=WordStage(preset, words, compute=recipe.compute()),
            batch=words.batch,
            validate=WordValidation(validation_crops(recipe, preset)),
        )
    scenes = replace(
        SceneStageSettings(
            real=recipe.real, backgrounds=recipe.backgrounds, workers=recipe.workers, seed=recipe.draw_seed()
        ),
        **changes,
    )
    kind: SceneLosses = "joint" if recipe.stage == "joint" else "boxes" if recipe.stage == "boxes" else "detector"
    held_out = [scene for folder in recipe.real for scene in held_out_scenes(folder, preset)]
    return Training(
        network=network,
        stage=SceneStage(scenes, kind, compute=recipe.compute(), make=make),
        batch=scenes.batch,
        validate=BoxValidation(held_out) if kind == "boxes" else DetectionValidation(held_out),
    )


def build_network(recipe: Recipe, preset: TdslSettings) -> Tdsl:
    """Return the network of TDSL with what the recipe starts from."""
    network = Tdsl(preset)
    if recipe.backbone_weights is not None:
        load_backbone(network, recipe.backbone_weights)
    take_start(network, recipe)
    return network


def build_token_stage(recipe: Recipe) -> Training[Reader]:
    """Return the training of the dense CLIP's tokens."""
    changes: dict[str, Any] = dict(given_settings(recipe))
    settings = replace(
        TokenStageSettings(
            real=recipe.real, backgrounds=recipe.backgrounds, workers=recipe.workers, seed=recipe.draw_seed()
        ),
        **changes,
    )
    network = Reader(find_dense_clip(recipe.preset))
    take_start(network, recipe)
    return Training(
        network=network,
        stage=TokenStage(settings),
        batch=settings.batch,
        validate=TokenValidation(validation_windows(recipe, settings)),
    )


def build_adapter(recipe: Recipe) -> Training[Trainee]:
    """Return the training of CAYN's adapter and head over a frozen backbone, by Adam as the paper's group has it."""
    if recipe.weights is None:
        raise SettingError("stage adapter needs --weights: the backbone that stays frozen")
    choice = change(find_cayn(recipe.preset), recipe.set)
    network = start_network(choice.network, recipe.weights).to(recipe.device)
    settings = AdapterStageSettings(losses=choice.losses)
    settings = settings if recipe.batch is None else replace(settings, batch=recipe.batch)
    write_settings(recipe.run, choice.network)
    cache = recipe.cache or recipe.run / "tokens"
    trainee, stage, validate = build_adapter_stage(network, recipe.real, cache, settings)
    take_start(trainee, recipe)
    return Training(network=trainee, stage=stage, batch=settings.batch, validate=validate, weight_decay=0.0)


def find_dense_clip(preset: str) -> DenseSettings:
    """Return the dense CLIP of a CAYN preset. Raises ModelNotFound, which lists the presets that have one."""
    if preset not in DENSE_CLIPS:
        raise ModelNotFound(f"preset {preset!r} has no dense CLIP; these have: {', '.join(DENSE_CLIPS)}")
    return DENSE_CLIPS[preset]


def validation_windows(recipe: Recipe, settings: TokenStageSettings) -> dict[str, list[WordWindow]]:
    """Return windows of rendered scenes of another seed than training's, and of the real photos of held-out folds."""
    make = make_scenes(settings.width, settings.height, recipe.backgrounds, recipe.seed + 1_000_003)
    rendered = [scene for _ in range(RENDERED_VALIDATION_BATCHES) for scene in make()]
    photos = [photo for folder in recipe.real for photo in read_annotated_photos(folder, held_out=True)]
    real = [read_scene(photo, settings.longer_side) for photo in photos]
    groups = {"rendered": rendered, "real": real}
    return {name: word_windows(scenes, settings.side, most=VALIDATION_WINDOWS) for name, scenes in groups.items()}


def validation_crops(recipe: Recipe, preset: TdslSettings) -> dict[str, list[Crop]]:
    """Return rendered crops of another seed than training's, and the real ones of the held-out folds."""
    renderer, rng = open_crop_renderer(recipe.backgrounds), np.random.default_rng([recipe.seed, 1_000_003])
    rendered: list[Crop] = []
    while len(rendered) < RENDERED_VALIDATION_CROPS:
        pixels, text = renderer.render(rng, preset.roi_rows, preset.roi_columns)
        if word := spell(text):
            rendered.append((pixels, word))
    return {"rendered": rendered, "real": [crop for folder in recipe.real for crop in real_crops(folder, preset)]}
