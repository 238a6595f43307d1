"""`glyphseek ingest`: a folder or bucket of photos into a collection of a deployment, by workers on Ray."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from glyphseek.cli.console import EXIT_SKIPPED, EXIT_STOPPED, JsonFlag, err, needing_extra, out, print_json
from glyphseek.cli.console import show_progress as show_bar
from glyphseek.config import Config, load_config
from glyphseek.indexing import IngestProgress, IngestReport, IngestRequest, Outcome

SHOWN_REFUSALS = 5
_DEFAULTS = IngestRequest(source=".", collection="default")


class _Ingest(Protocol):
    def __call__(
        self, config: Config, request: IngestRequest, *, on_progress: Callable[[IngestProgress], None]
    ) -> IngestReport: ...


def ingest(
    source: Annotated[str, typer.Argument(help="A folder, or s3://bucket/folder in the deployment's S3 store.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where to; it is made if it is not there.")],
    model: Annotated[
        str | None, typer.Option(help="Name or folder; unless given the collection's own, or the first configured.")
    ] = None,
    new_generation: Annotated[
        bool, typer.Option("--new-generation", help="Build one for --model beside the current generation.")
    ] = False,
    trust_names: Annotated[
        bool, typer.Option("--trust-names", help="Pass over photos whose name the collection has, unread.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="File with the deployment's settings, in YAML or JSON.")
    ] = None,
    readers: Annotated[int, typer.Option(min=1, help="Workers that read and decode.")] = _DEFAULTS.readers,
    encoders: Annotated[int, typer.Option(min=1, help="Workers that hold the model.")] = _DEFAULTS.encoders,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for each encoder.")] = _DEFAULTS.gpus,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Torch threads of each encoder; unless given as configured.")
    ] = None,
    batch_images: Annotated[int, typer.Option(min=1, help="Photos for one call of the model.")] = (
        _DEFAULTS.batch_images
    ),
    ray: Annotated[
        str | None, typer.Option("--ray", help="Address of a Ray cluster; unless given, workers start here.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="File for the report, as JSON.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring photos into a collection: read, encode, store, and commit those that it lacks.

    Stop it at any time, or lose workers, and run it again: what is stored is used, and no photo comes twice. Exit code
    3: done, but some photos were left out (the report says why); 4: ended early, run again.
    """
    request = IngestRequest(
        source=source,
        collection=collection,
        model=model,
        new_generation=new_generation,
        trust_names=trust_names,
        readers=readers,
        encoders=encoders,
        gpus=gpus,
        threads=threads,
        batch_images=batch_images,
        address=ray,
    )
    settings = load_config(config)
    run = _find_indexer()
    with show_bar("ingest", quiet=as_json) as show:
        done = run(settings, request, on_progress=lambda one: show(one.done, one.total, f"{one.refused} left out"))
    if report is not None:
        report.write_text(json.dumps(done.as_json(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json(done.as_json())
    else:
        print_report(done, report)
    if done.outcome is not Outcome.COMPLETE:
        raise typer.Exit(EXIT_STOPPED)
    if done.refused:
        raise typer.Exit(EXIT_SKIPPED)


def print_report(done: IngestReport, file: Path | None) -> None:
    """Print what the job did, and the first photos it left out."""
    out.print(
        f"{done.found} photos found, {done.added} added ({done.reused} from blobs that were there), {done.unchanged} "
        f"unchanged, {done.updated} updated, {len(done.refused)} left out; {done.seconds:.1f} s",
    )
    if done.added:
        out.print(f"{done.images_per_second:.2f} images/s after {done.start_seconds:.1f} s of starting")
    for skip in done.refused[:SHOWN_REFUSALS]:
        err.print(f"left out: {skip.name}: {skip.kind}: {skip.message}", markup=False)
    if len(done.refused) > SHOWN_REFUSALS:
        where = f"in {file}" if file is not None else "--report FILE or --json lists them"
        err.print(f"... and {len(done.refused) - SHOWN_REFUSALS} more, {where}", markup=False)
    if done.message:
        err.print(f"ended early: {done.message}", markup=False)


def _find_indexer() -> _Ingest:
    """Return the job. It is found by name: the library knows no service. Raises MissingExtra where Ray is not there."""
    with needing_extra("serve"):
        return cast(_Ingest, importlib.import_module("glyphseek_indexer.app").ingest)
