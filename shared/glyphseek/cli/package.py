"""`glyphseek package`: finished training runs become a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import needing_extra


def package(
    out: Annotated[Path, typer.Argument(help="Model folder to write.")],
    run: Annotated[list[Path], typer.Option(help="Run folders whose trained parts to take; later ones win.")],
    preset: Annotated[str, typer.Option(help="Preset that was trained.")] = "tdsl-small",
    held_out: Annotated[
        list[Path] | None, typer.Option(help="Annotated galleries whose held-out fold calibrates the scores.")
    ] = None,
    data: Annotated[list[str] | None, typer.Option(help="Sentences for the manifest: what it was trained on.")] = None,
) -> None:
    """Write weights (fp16) and manifest of a trained model."""
    with needing_extra("render"):
        from glyphseek.training.packaging import package as write

    manifest = write(run, out, preset=preset, held_out=held_out or [], data=data or [])
    typer.echo(f"{out}: {manifest.parameters:,} parameters, fingerprint {manifest.fingerprint}, {manifest.calibration}")
