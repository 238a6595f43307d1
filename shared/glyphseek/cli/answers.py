"""Answers of a search as a person or a machine wants them: tables, JSON, one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from glyphseek.cli.console import err, out, print_json
from glyphseek.cli.gallery import Gallery, check_model, open_gallery, open_reranker
from glyphseek.errors import GlyphseekError
from glyphseek.filters import parse_filter
from glyphseek.images import path_of, read_image
from glyphseek.matching import Matcher
from glyphseek.models.loading import open_model
from glyphseek.pictures import Panel, draw_hits, save_picture
from glyphseek.search import Hit, Searcher, SearchResult
from glyphseek.types import RgbImage


def answer_queries(
    queries: Sequence[str],
    path: Path,
    *,
    top: int,
    rerank: int | None,
    where: str,
    picture: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Search the gallery at `path` for each query and print the answers, and draw them when a picture is asked for.

    Raises QueryError or SettingError before anything is printed, and ModelMismatch when the gallery's model is not what
    it was.
    """
    import torch

    condition = parse_filter(where) if where else None
    # A word is too little work for two threads; waking the second one costs up to 100 ms beside a busy database.
    torch.set_num_threads(1)
    with open_gallery(path) as gallery:
        model = open_model(gallery.description.model, device=device)
        check_model(path, gallery.card, model.card)
        with open_reranker(model, gallery.features) as reranker:
            matcher = Matcher(gallery.features, card=model.card)
            searcher = Searcher(model, gallery.vectors, matcher=matcher, reranker=reranker)
            results = [
                searcher.search(one, top=top, rerank=rerank, where=condition, with_attention=picture is not None)
                for one in queries
            ]
        if as_json:
            print_json([result_as_json(result) for result in results])
        else:
            for result in results:
                print_result(result)
        if picture is not None:
            save_picture(np.concatenate([draw_result(result, gallery) for result in results]), picture)
            if not as_json:
                out.print(f"picture: {picture}", markup=False)


def result_as_json(result: SearchResult) -> dict[str, object]:
    """Return the answer as plain values; attention maps are left to pictures, records to `glyphseek export`."""
    plain = asdict(replace(result, hits=tuple(replace(hit, attention=None, record=None) for hit in result.hits)))
    for hit in plain["hits"]:
        del hit["attention"], hit["record"]
    return {**plain, "total_ms": result.timings.total_ms}


def print_result(result: SearchResult) -> None:
    """Print one answer as a table of hits, best first."""
    if not result.confident:
        out.print(f"[yellow]no confident match[/yellow] for {escape(result.query)}; the least unlikely photos:")
    title = f"{escape(result.query)}  ({result.timings.total_ms:.1f} ms)"
    table = Table("score", "photo", "matched", "stages", title=title)
    for hit in result.hits:
        table.add_row(f"{hit.score:.3f}", escape(name_hit(hit)), escape(describe_matches(hit)), "+".join(hit.stages))
    out.print(table)
    for part in result.degraded:
        err.print(f"degraded: {part.stage}: {part.reason} (covered {100 * part.coverage:.0f} %)", markup=False)


def name_hit(hit: Hit) -> str:
    """Return the first name of the hit's photo, or its id when it has none."""
    return hit.names[0] if hit.names else hit.image_id


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
            name=name_hit(hit),
            score=hit.score,
            matches=hit.matches,
            image=open_photo(folder, hit),
            attention=hit.attention,
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
