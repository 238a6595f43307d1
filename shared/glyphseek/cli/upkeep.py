"""`glyphseek info`, `verify`, `gc`, `delete` and `export`: looking after a gallery; none of them loads the model."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import EXIT_ERROR, EXIT_INPUT, JsonFlag, err, out, print_json
from glyphseek.cli.deployed import (
    CollectionOption,
    ConfigOption,
    clean_collection,
    delete_from_collection,
    verify_collection,
)
from glyphseek.cli.gallery import GalleryOption, open_gallery
from glyphseek.errors import SettingError
from glyphseek.indexing import collect_garbage, delete_images, export_records
from glyphseek.indexing import verify as verify_gallery
from glyphseek.types import FeatureKind

OptionalGallery = Annotated[Path | None, typer.Option("--gallery", "-g", help="Folder of the gallery.")]
_ONE_OF_BOTH = "say either --gallery FOLDER or --collection NAME"


def info(gallery: GalleryOption, as_json: JsonFlag = False) -> None:
    """Say what a gallery holds, and which model wrote it."""
    with open_gallery(gallery) as opened:
        records = list(opened.vectors.scan())
        facts: dict[str, object] = {
            "gallery": str(gallery),
            "photos folder": opened.description.folder,
            "model": opened.card.name,
            "fingerprint": opened.card.fingerprint,
            "images": len(records),
            "files": sum(len(record.names) for record in records),
            "features": ", ".join(sorted(opened.card.features)),
            "bytes on disk": sum(file.stat().st_size for file in gallery.rglob("*") if file.is_file()),
        }
        if FeatureKind.INSTANCES in opened.card.features:
            facts["words found"] = sum(record.instance_count for record in records)
            facts["images without words"] = sum(record.instance_count == 0 for record in records)
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            out.print(f"{name:<21} {value}", markup=False)


def verify(
    gallery: OptionalGallery = None,
    collection: CollectionOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read every row and every blob and list what is damaged or missing. Exit code 1 when something is.

    What is listed is mended by taking it out with `glyphseek delete` and indexing its photos again.
    """
    match gallery, collection:
        case Path(), None:
            with open_gallery(gallery) as opened:
                report = verify_gallery(opened.vectors, opened.features, fingerprint=opened.card.fingerprint)
        case None, str():
            report = verify_collection(collection, config)
        case _:
            raise SettingError(_ONE_OF_BOTH)
    if as_json:
        print_json(report.as_json())
    else:
        out.print(
            f"{report.images} images, {len(report.problems)} with a problem, {len(report.garbage)} blobs to collect"
        )
        for problem in report.problems:
            err.print(f"{problem.image_id} {' '.join(problem.names)}: {problem.kind}: {problem.message}", markup=False)
        if report.problems:
            err.print("To mend: take these images out with `glyphseek delete`, and index their photos again.")
    if not report.is_sound:
        raise typer.Exit(EXIT_ERROR)


def gc(
    gallery: OptionalGallery = None,
    collection: CollectionOption = None,
    config: ConfigOption = None,
    older_than_s: Annotated[
        float, typer.Option("--older-than", min=0, help="Seconds; vectors of a collection that are younger stay.")
    ] = 3600.0,
    settle_s: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds that a photo of a collection may take from blob to row.")
    ] = 120.0,
    as_json: JsonFlag = False,
) -> None:
    """Remove what interrupted runs left behind: blobs that no row names, and in a collection vectors and photos.

    Nothing may be indexed into a gallery meanwhile. A collection may go on: what has no row is looked at again after
    --settle.
    """
    match gallery, collection:
        case Path(), None:
            _clean_gallery(gallery, as_json=as_json)
        case None, str():
            _clean_collection(collection, config, older_than_s=older_than_s, settle_s=settle_s, as_json=as_json)
        case _:
            raise SettingError(_ONE_OF_BOTH)


def _clean_gallery(gallery: Path, *, as_json: bool) -> None:
    with open_gallery(gallery) as opened:
        partial = opened.features.remove_leftovers()
        removed = collect_garbage(opened.vectors, opened.features, fingerprint=opened.card.fingerprint)
    if as_json:
        print_json({"removed": removed, "partial_files": partial})
    else:
        out.print(f"{len(removed)} blobs and {partial} partial files removed")


def _clean_collection(
    collection: str, config: Path | None, *, older_than_s: float, settle_s: float, as_json: bool
) -> None:
    cleaned = clean_collection(collection, config, older_than_s=older_than_s, settle_s=settle_s)
    if as_json:
        print_json({"removed": cleaned.blobs, "vectors": cleaned.vectors, "photos": cleaned.photos})
        return
    out.print(f"{cleaned.vectors} vectors removed")
    if cleaned.blobs is None or cleaned.photos is None:
        err.print("blobs and photos were left alone: other tenants have images here and may share them")
    else:
        out.print(f"{len(cleaned.blobs)} blobs and {len(cleaned.photos)} photos removed")


def delete(
    image: Annotated[list[str], typer.Argument(help="Image ids or names, as `export` prints them.")],
    gallery: OptionalGallery = None,
    collection: CollectionOption = None,
    config: ConfigOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take images out of the gallery. Files are not touched; a photo still in the folder returns when indexed again."""
    match gallery, collection:
        case Path(), None:
            with open_gallery(gallery) as opened:
                report = delete_images(opened.vectors, opened.features, image, fingerprint=opened.card.fingerprint)
        case None, str():
            report = delete_from_collection(collection, config, image)
        case _:
            raise SettingError(_ONE_OF_BOTH)
    if as_json:
        print_json(asdict(report))
    else:
        out.print(f"{len(report.removed)} images removed")
        for unknown in report.unknown:
            err.print(f"not in the gallery: {unknown}", markup=False)
    if report.unknown:
        raise typer.Exit(EXIT_INPUT)


def export(
    gallery: GalleryOption,
    to: Annotated[Path | None, typer.Option(help="File to write; standard output when absent.")] = None,
    boxes: Annotated[bool, typer.Option("--boxes", help="Add the box and confidence of every word found.")] = False,
) -> None:
    """Write one JSON line for each image: id, content hash, names, size, and the boxes of its words on request."""
    with open_gallery(gallery) as opened:
        lines = export_records(opened.vectors, opened.features, fingerprint=opened.card.fingerprint, with_boxes=boxes)
        if to is None:
            for line in lines:
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            with to.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
