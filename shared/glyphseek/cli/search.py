"""`glyphseek search`: find photos by the words written in them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from glyphseek.cli.console import JsonFlag, err, out, print_json
from glyphseek.cli.gallery import Gallery, GalleryOption, open_gallery
from glyphseek.errors import GlyphseekError
from glyphseek.images import path_of, read_image
from glyphseek.models.loading import open_model
from glyphseek.pictures import Panel, draw_hits, save_picture
from glyphseek.search import Hit, Searcher, SearchResult
from glyphseek.types import RgbImage

QUERY_HELP = 'coffee · "bank of america" · coffee AND open NOT closed · RE16* · cofee~1'


def search(
    query: Annotated[list[str], typer.Argument(help=QUERY_HELP)],
    gallery: GalleryOption,
    top: Annotated[int, typer.Option(min=1, help="Most hits of each query.")] = 10,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the hits into, one query below the other.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Search a gallery; several queries are answered one after the other with the model loaded once."""
    with open_gallery(gallery) as opened:
        model = open_model(opened.description.model, device=device)
        searcher = Searcher(model, opened.vectors, opened.features)
        results = [searcher.search(one, top=top) for one in query]
        if as_json:
            print_json([{**asdict(result), "total_ms": result.timings.total_ms} for result in results])
        else:
            for result in results:
                print_result(result)
        if picture is not None:
            save_picture(np.concatenate([draw_result(result, opened) for result in results]), picture)
            if not as_json:
                out.print(f"picture: {picture}", markup=False)


def print_result(result: SearchResult) -> None:
    """Print one answer as a table of hits, best first."""
    if not result.confident:
        out.print(f"[yellow]no confident match[/yellow] for {result.query}; the least unlikely photos:")
    table = Table("score", "photo", "matched", "stages", title=f"{result.query}  ({result.timings.total_ms:.1f} ms)")
    for hit in result.hits:
        table.add_row(
            f"{hit.score:.3f}", hit.names[0] if hit.names else hit.image_id, describe_matches(hit), "+".join(hit.stages)
        )
    out.print(table)
    for part in result.degraded:
        err.print(f"degraded: {part.stage}: {part.reason} (covered {100 * part.coverage:.0f} %)", markup=False)


def describe_matches(hit: Hit) -> str:
    """Return each matched term with its similarity and its box in percent of the displayed image."""
    parts: list[str] = []
    for match in hit.matches:
        where = "" if match.box is None else " at " + ",".join(f"{100 * side:.0f}" for side in match.box)
        parts.append(f"{match.term} {match.similarity:.2f}{where}")
    return "; ".join(parts)


def draw_result(result: SearchResult, gallery: Gallery) -> RgbImage:
    """Return a picture of the hits; a photo that cannot be opened any more is drawn as missing."""
    folder = Path(gallery.description.folder)
    panels = [
        Panel(
            name=hit.names[0] if hit.names else hit.image_id,
            score=hit.score,
            matches=hit.matches,
            image=open_photo(folder, hit),
        )
        for hit in result.hits
    ]
    note = "" if result.confident else "  (no confident match)"
    return draw_hits(panels, title=f"{result.query}{note}")


def open_photo(folder: Path, hit: Hit) -> RgbImage | None:
    """Return the hit's photo from the indexed folder, or None when it is gone or cannot be read."""
    for name in hit.names:
        try:
            return read_image(path_of(folder, name))
        except GlyphseekError as error:
            err.print(f"cannot show {name}: {error}", markup=False)
    return None
