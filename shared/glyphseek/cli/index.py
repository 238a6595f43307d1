"""`glyphseek index`: bring a gallery in line with a folder of photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import EXIT_SKIPPED, EXIT_STOPPED, JsonFlag, err, out, print_json, show_progress
from glyphseek.cli.gallery import (
    GALLERY_FILE,
    REPORT_FILE,
    CollectionOption,
    GalleryOrNone,
    KeyOption,
    Packing,
    UrlOption,
    choose_gallery,
    choose_packing,
    create_if_absent,
    describe,
    follow_folder,
    open_gallery,
)
from glyphseek.cli.metadata_file import print_unknown, read_metadata
from glyphseek.indexing import Descriptions, Indexer, IndexProgress, IndexReport, IndexSettings, Outcome
from glyphseek.models.loading import DEFAULT_MODEL, lasting_name, open_model
from glyphseek.tokens import CodecName
from glyphseek.types import FeatureKind, ModelCard

SHOWN_SKIPS = 5


def index(
    folder: Annotated[
        Path, typer.Argument(help="Folder of photos, read with all its subfolders.", exists=True, file_okay=False)
    ],
    gallery: GalleryOrNone = None,
    model: Annotated[str | None, typer.Option(help="Model id or folder; a gallery that exists knows its own.")] = None,
    codec: Annotated[
        CodecName | None,
        typer.Option(
            help="How features are kept in blobs; unless given, as the gallery has them; in a new one int8 for token "
            "maps, else fp16."
        ),
    ] = None,
    keep_likelihood: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Keep tokens that are at least this likely to be text; unless given, as the gallery has it, or all.",
        ),
    ] = None,
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep photos that are gone from the folder.")
    ] = False,
    allow_move: Annotated[
        bool, typer.Option("--allow-move", help="The photos are in another folder than at the last run.")
    ] = False,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="What filters may ask of photos, by their paths below FOLDER: JSON {path: {key: value}}, or JSONL or "
            "CSV with file_name and a column for each key.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    url: UrlOption = None,
    collection: CollectionOption = "photos",
    api_key: KeyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Index every photo of FOLDER that the gallery lacks; follow renames, changes and deletions.

    Stop it at any time and run it again: what was stored is not encoded again, after a kill the photos that were in
    hand are. Exit code 3: done, but some photos were left out (the report says why); 4: ended early, run again.

    What --metadata says of a photo replaces what was said before; photos that it does not mention keep theirs.

    With --url the photos are sent to a running gateway, which adds those that its collection lacks and removes none.
    """
    said = {} if metadata is None else read_metadata(metadata)
    if gallery is None and url is not None:
        from glyphseek.cli.remote import index_remotely, make_if_absent, open_client

        with open_client(url, collection=collection, key=api_key) as client:
            make_if_absent(client, collection)
            if not index_remotely(folder, client, metadata=said, as_json=as_json):
                raise typer.Exit(EXIT_SKIPPED)
        return
    gallery = choose_gallery(gallery)
    wanted = model or (describe(gallery).model if (gallery / GALLERY_FILE).exists() else DEFAULT_MODEL)
    packing = choose_packing(gallery, codec=codec, keep_likelihood=keep_likelihood)
    encoder = open_model(wanted, device=device)
    packing = packing or Packing(codec=codec or choose_codec(encoder.card), keep_likelihood=keep_likelihood or 0.0)
    create_if_absent(gallery, model=lasting_name(wanted), folder=folder, card=encoder.card, packing=packing)
    settings = IndexSettings(
        codec=packing.codec,
        keep_likelihood=packing.keep_likelihood,
        keep_missing=keep_missing,
        allow_move=allow_move,
        longer_side=encoder.card.longer_side,
    )
    with open_gallery(gallery) as opened, show_progress("index", quiet=as_json) as show:
        follow_folder(opened, folder, allow_move=allow_move)

        def on_progress(progress: IndexProgress) -> None:
            show(progress.done, progress.total, progress.stage.value)

        indexer = Indexer(encoder, opened.vectors, opened.features, settings, gallery=gallery)
        report = indexer.run(folder, descriptions=Descriptions(by_name=said), on_progress=on_progress)
        if said:
            print_unknown(said, {name for record in opened.vectors.scan() for name in record.names})
    (gallery / REPORT_FILE).write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report, gallery)
    if report.outcome is not Outcome.COMPLETE:
        raise typer.Exit(EXIT_STOPPED)
    if report.skipped:
        raise typer.Exit(EXIT_SKIPPED)


def choose_codec(card: ModelCard) -> CodecName:
    """Return the codec for what the model stores: token maps are the bulk of a gallery that has them."""
    return CodecName.INT8 if FeatureKind.TOKENS in card.features else CodecName.FP16


def print_report(report: IndexReport, gallery: Path) -> None:
    """Print what the run did, and the first photos it left out."""
    out.print(
        f"{report.found} photos found, {report.added} added, {report.unchanged} unchanged, {report.renamed} renamed, "
        f"{report.described} described anew, {report.removed} removed, {len(report.skipped)} left out; "
        f"{report.seconds:.1f} s"
    )
    if report.encoded:
        out.print(
            f"{report.encoded} encoded at {report.images_per_second:.2f} images/s; the model was busy "
            f"{100 * report.encoder_busy_fraction:.0f} % of the time"
        )
    for skip in report.skipped[:SHOWN_SKIPS]:
        err.print(f"left out: {skip.name}: {skip.kind}: {skip.message}", markup=False)
    if len(report.skipped) > SHOWN_SKIPS:
        err.print(f"... and {len(report.skipped) - SHOWN_SKIPS} more, in {gallery / REPORT_FILE}", markup=False)
    if report.message:
        err.print(f"ended early: {report.message}", markup=False)
