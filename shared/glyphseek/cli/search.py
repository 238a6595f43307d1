"""`glyphseek search`: find photos by the words written in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import JsonFlag
from glyphseek.cli.gallery import GalleryOption

QUERY_HELP = 'coffee · "bank of america" · coffee AND open NOT closed · RE16* · cofee~1'


def search(
    query: Annotated[list[str], typer.Argument(help=QUERY_HELP)],
    gallery: GalleryOption,
    top: Annotated[int, typer.Option(min=1, help="Most hits of each query.")] = 10,
    rerank: Annotated[
        int | None,
        typer.Option(
            min=0, help="Photos whose token maps are scored, for models that have them; as many as these recommend."
        ),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the hits into, one query below the other.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Search a gallery; several queries are answered one after the other with the model loaded once."""
    from glyphseek.cli.answers import answer_queries

    answer_queries(query, gallery, top=top, rerank=rerank, picture=picture, device=device, as_json=as_json)
