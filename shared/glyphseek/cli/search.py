"""`glyphseek search`: find photos by the words written in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphseek.cli.console import JsonFlag
from glyphseek.cli.gallery import CollectionOption, GalleryOrNone, KeyOption, UrlOption, choose_gallery

QUERY_HELP = 'coffee · "bank of america" · coffee AND open NOT closed · RE16* · cofee~1'


def search(
    query: Annotated[list[str], typer.Argument(help=QUERY_HELP)],
    gallery: GalleryOrNone = None,
    top: Annotated[int, typer.Option(min=1, help="Most hits of each query.")] = 10,
    rerank: Annotated[
        int | None,
        typer.Option(
            min=0, help="Photos whose token maps are scored, for models that have them; as many as these recommend."
        ),
    ] = None,
    where: Annotated[str, typer.Option(help='Conditions on metadata, such as city == "Oslo" and year >= 2020.')] = "",
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the hits into, one query below the other.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    url: UrlOption = None,
    collection: CollectionOption = "photos",
    api_key: KeyOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Search a gallery, or a collection of a running gateway; several queries are answered one after the other."""
    if gallery is None and url is not None:
        from glyphseek.cli.remote import open_client, search_remotely

        with open_client(url, collection=collection, key=api_key) as client:
            search_remotely(query, client, top=top, rerank=rerank, where=where, picture=picture, as_json=as_json)
        return
    from glyphseek.cli.answers import answer_queries

    answer_queries(
        query,
        choose_gallery(gallery),
        top=top,
        rerank=rerank,
        where=where,
        picture=picture,
        device=device,
        as_json=as_json,
    )
