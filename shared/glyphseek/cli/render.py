"""`glyphseek render`: photos with words on them, and the ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import JsonFlag, needing_extra, out, print_json, show_progress


def render(
    folder: Annotated[Path, typer.Argument(help="New folder for images/, boxes.jsonl, qrels.json and the rest.")],
    count: Annotated[int, typer.Option(min=1, help="Photos to render.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and fonts give the same bytes.")] = 0,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos to draw text on; procedural without.")
    ] = None,
    fonts: Annotated[list[Path] | None, typer.Option(help="Folders of fonts; all that are installed without.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="PNG for a contact sheet of the first 24 photos.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Render a gallery with ground truth, in the layout that `glyphseek eval` reads."""
    with needing_extra("render"):
        from glyphseek.datasets.scenes.gallery import write_gallery
        from glyphseek.training.rendering import open_scene_renderer

    renderer = open_scene_renderer(backgrounds, fonts=fonts)
    with show_progress("render", quiet=as_json) as show:
        words = 0
        for done, row in enumerate(write_gallery(folder, count, seed, renderer), start=1):
            words += len(row.items)
            show(done, count, "rendering")
    if sheet is not None:
        write_sheet(folder, sheet, min(count, 24))
    if as_json:
        print_json({"folder": str(folder), "photos": count, "words": words, "fonts": len(renderer.fonts.faces)})
    else:
        out.print(
            f"{count} photos with {words} words from {len(renderer.fonts.faces)} font faces in {folder}", markup=False
        )


def write_sheet(folder: Path, path: Path, count: int) -> None:
    """Write the first photos of a rendered gallery as one picture."""
    from glyphseek.datasets.scenes.sheets import contact_sheet
    from glyphseek.images import read_image
    from glyphseek.pictures import save_picture

    images = [read_image(image) for image in sorted((folder / "images").iterdir())[:count]]
    save_picture(contact_sheet(images, columns=4), path)
