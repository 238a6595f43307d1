"""`glyphseek package`: finished training runs become a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphseek.cli.console import needing_extra
from glyphseek.errors import SettingError

if TYPE_CHECKING:
    from glyphseek.models.checkpoint import Manifest


def package(
    out: Annotated[Path, typer.Argument(help="Model folder to write; the model is called after it.")],
    run: Annotated[
        list[Path] | None, typer.Option(help="Run folders whose trained parts to take; later ones win.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset that was trained.")] = "tdsl-small",
    held_out: Annotated[
        list[Path] | None, typer.Option(help="Annotated galleries whose held-out fold calibrates the scores.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="CAYN: the backbone, as `train adapter` takes it. Without a run the model is zero-shot, reranked by "
            "the cosines of its tokens."
        ),
    ] = None,
    rerank_depth: Annotated[
        int | None,
        typer.Option(
            min=1, help="CAYN: the photos that searches rerank unless told otherwise; scores are calibrated at it."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="TDSL: id or folder of a model to copy, so that it reads photos at --longer-side."),
    ] = None,
    longer_side: Annotated[
        int | None,
        typer.Option(min=32, help="TDSL: pixels of a photo's longer side; more find smaller text, slower."),
    ] = None,
    also_at: Annotated[
        list[int] | None,
        typer.Option(min=32, help="TDSL: longer side at which words are looked for too; repeat it. None unless given."),
    ] = None,
    data: Annotated[list[str] | None, typer.Option(help="Sentences for the manifest: what it was trained on.")] = None,
) -> None:
    """Write weights (fp16) and manifest of a trained model, or of a copy that reads photos at another size."""
    if rerank_depth is not None and weights is None:
        raise SettingError("--rerank-depth is for CAYN, which is packaged from --weights: other models do not rerank")
    if also_at and model is None:
        raise SettingError("--also-at is for a copy of a --model that reads photos at --longer-side")
    if (model is None) != (longer_side is None):
        raise SettingError("--model and --longer-side belong together: a copy of a model for photos of another size")
    if model is not None and longer_side is not None:
        if run or weights is not None or data:
            raise SettingError("--model takes what a packaged model has: leave --run, --weights and --data out")
        with needing_extra("render"):
            from glyphseek.training.packaging import resize

        manifest = resize(model, out, longer_side=longer_side, also_at=also_at or [], held_out=held_out or [])
    elif weights is not None:
        manifest = _package_cayn(out, preset, weights, run or [], held_out or [], data or [], rerank_depth)
    elif run:
        with needing_extra("render"):
            from glyphseek.training.packaging import package as write

        manifest = write(run, out, preset=preset, held_out=held_out or [], data=data or [])
    else:
        raise SettingError("a model is packaged from --run folders, from another --model, or for CAYN from --weights")
    typer.echo(f"{out}: {manifest.parameters:,} parameters, fingerprint {manifest.fingerprint}, {manifest.calibration}")


def _package_cayn(
    out: Path,
    preset: str,
    weights: str,
    runs: list[Path],
    held_out: list[Path],
    data: list[str],
    rerank_depth: int | None,
) -> Manifest:
    with needing_extra("render"):
        from glyphseek.training.cayn.packaging import package_cayn

    return package_cayn(
        out, preset=preset, weights=weights, runs=runs, held_out=held_out, data=data, rerank_depth=rerank_depth
    )
