"""`glyphseek train`: run one stage of a model's training, or go on with it."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import needing_extra


class PrecisionName(StrEnum):
    """What convolutions and products are computed in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class StageName(StrEnum):
    """The stages of a recipe, in their order."""

    WORDS = "words"
    DETECTOR = "detector"
    BOXES = "boxes"
    JOINT = "joint"
    TOKENS = "tokens"
    ADAPTER = "adapter"


def train(
    stage: Annotated[
        StageName,
        typer.Argument(
            help="TDSL: words (read crops), detector (find words), boxes (look at them again), joint. "
            "CAYN: tokens (the dense CLIP reads scenes), "
            "adapter (position adapter and match head over a frozen backbone)."
        ),
    ],
    run: Annotated[Path, typer.Option(help="Run folder; an existing one is resumed.")],
    preset: Annotated[str, typer.Option(help="Preset whose network is trained.")] = "tdsl-small",
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps at which the stage ends.")] = 1000,
    batch: Annotated[int | None, typer.Option(min=1, help="Crops or scene windows a step.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 1e-3,
    start: Annotated[list[Path] | None, typer.Option(help="Run folders whose trained parts to start from.")] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Model whose weights to start from: its id, such as tdsl-small, or its folder.")
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            help="Stages detector and joint of a preset with a ResNet-50: its weights by torchvision's names, .pth or "
            ".safetensors."
        ),
    ] = None,
    real: Annotated[
        list[Path] | None, typer.Option(help="Annotated galleries to train on beside rendered data.")
    ] = None,
    real_share: Annotated[float | None, typer.Option(min=0, max=1, help="Share of real samples in a batch.")] = None,
    backgrounds: Annotated[Path | None, typer.Option(help="Folder of photos to draw text on.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Renderer processes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the trainer.")] = 1,
    pool: Annotated[int | None, typer.Option(min=1, help="Rendered samples kept for reuse.")] = None,
    start_with: Annotated[
        int | None, typer.Option(min=1, help="Rendered samples to wait for before the first step.")
    ] = None,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of weights and of every draw.")] = 0,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Stage adapter: the frozen backbone. A published one by its open_clip tag, hf-hub:owner/name, "
            "file or s3:// address, ours by the folder of a model or of a run."
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Stage adapter: folder for the backbone's tokens; in the run folder by default.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Stage adapter: a setting other than the preset's, such as vpa=off or sampling=uniform."
        ),
    ] = None,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="Stages of TDSL: bfloat16 is quicker where the processor multiplies it natively."),
    ] = PrecisionName.FLOAT32,
    compile: Annotated[
        bool, typer.Option("--compile", help="Stages of TDSL: compile the convolutions; pays on a GPU.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where the network is, such as cuda.")] = "cpu",
    measure: Annotated[
        int | None,
        typer.Option(min=1, help="Stages of TDSL: train nothing; time so many steps, against the processor's peak."),
    ] = None,
) -> None:
    """Train one stage; stop it at any time and run the same command to go on.

    On several GPUs, each with a batch, pool and renderers of its own: torchrun --standalone
    --nproc-per-node=GPUS --no-python -- glyphseek train ... --device cuda
    """
    with needing_extra("render"):
        import torch

        from glyphseek.training.recipe import Recipe, measure_recipe, run_recipe
        from glyphseek.training.together import joined

    torch.set_num_threads(threads)
    recipe = Recipe(
        stage=stage.value,
        run=run,
        preset=preset,
        steps=steps,
        batch=batch,
        rate=rate,
        start=tuple(start or ()),
        start_from=start_from,
        backbone_weights=backbone_weights,
        real=tuple(real or ()),
        real_share=real_share,
        backgrounds=backgrounds,
        workers=workers,
        pool=pool,
        start_with=start_with,
        save_every=save_every,
        validate_every=validate_every,
        seed=seed,
        weights=weights,
        cache=cache,
        device=device,
        precision=precision.value,
        compile=compile,
        set=tuple(change or ()),
    )

    def tell(row: dict[str, float]) -> None:
        typer.echo("  ".join(f"{name} {value:.4g}" for name, value in row.items()))

    with joined(device) as processes:
        recipe = replace(recipe, processes=processes)
        if measure is None:
            run_recipe(recipe, report=tell)
        else:
            tell(measure_recipe(recipe, steps=measure).figures())
