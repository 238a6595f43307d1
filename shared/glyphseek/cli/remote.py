"""Commands on a collection of a running gateway instead of a gallery on disk."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from glyphseek.cli.answers import name_hit, print_result, result_as_json
from glyphseek.cli.console import err, out, print_json, show_progress
from glyphseek.cli.metadata_file import print_unknown
from glyphseek.client import AddedImage, Client, NewImage
from glyphseek.errors import GlyphseekError, ImageNotFound
from glyphseek.images import FoundFile, ImageLimits, Unreachable, find_files, is_image_file, read_file, read_image
from glyphseek.metadata import NO_METADATA, Metadata
from glyphseek.pictures import Panel, draw_hits, save_picture
from glyphseek.search import SearchResult
from glyphseek.types import RgbImage

_MOST_PER_PAGE = 100
_SHOWN_REFUSALS = 5


@contextmanager
def open_client(url: str, *, collection: str, key: str) -> Generator[Client]:
    """Yield a client of the gateway. Raises SettingError and MissingExtra."""
    with Client(url, collection=collection, key=key) as client:
        yield client


def search_remotely(
    queries: Sequence[str],
    client: Client,
    *,
    top: int,
    rerank: int | None,
    where: str,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Print the answers of the gateway as those of a gallery, and draw them when a picture is asked for."""
    results = [ask(client, one, top=top, rerank=rerank, where=where) for one in queries]
    if as_json:
        print_json([result_as_json(result) for result in results])
    else:
        for result in results:
            print_result(result)
    if picture is not None:
        pictures = [draw_remotely(client, query, result) for query, result in zip(queries, results, strict=True)]
        save_picture(np.concatenate(pictures), picture)
        if not as_json:
            out.print(f"picture: {picture}", markup=False)


def ask(client: Client, query: str, *, top: int, rerank: int | None, where: str) -> SearchResult:
    """Return the `top` best hits of a query, page after page."""
    page = client.search(query, page_size=min(top, _MOST_PER_PAGE), rerank=rerank, filter=where)
    hits, first = list(page.hits), page
    while len(hits) < top and page.next_page_token:
        size = min(top - len(hits), _MOST_PER_PAGE)
        page = client.search(query, page_size=size, page_token=page.next_page_token, rerank=rerank, filter=where)
        hits += page.hits
    return SearchResult(
        query=first.query,
        hits=tuple(hits),
        confident=first.confident,
        degraded=first.degraded,
        timings=first.timings,
    )


def draw_remotely(client: Client, query: str, result: SearchResult) -> RgbImage:
    """Return a picture of the hits, each drawn by the gateway; a photo whose bytes are not kept is drawn as missing."""
    panels: list[Panel] = []
    for hit in result.hits:
        try:
            image = read_image(client.get_picture(hit.image_id, query))
        except ImageNotFound:
            image = None
        panels.append(Panel(name=name_hit(hit), score=hit.score, matches=(), image=image))
    note = "" if result.confident else "  (no confident match)"
    return draw_hits(panels, title=f"{result.query}{note}")


def make_if_absent(client: Client, collection: str) -> None:
    """Make the collection if it is not there, which needs a key with the scope admin."""
    if collection not in (one.name for one in client.list_collections()):
        client.create_collection(collection)


def index_remotely(folder: Path, client: Client, *, metadata: Mapping[str, Metadata], as_json: bool) -> bool:
    """Send every photo of a folder to the gateway, which encodes new ones; return whether none was refused.

    metadata: what is said of photos, by name; names that no photo has are told.
    """
    found = list(find_files(folder))
    files = [one for one in found if isinstance(one, FoundFile) and is_image_file(one)]
    counts = dict.fromkeys(("added", "unchanged", "updated", "refused"), 0)
    refusals = [
        {"name": one.name, "kind": type(one.error).__name__, "message": str(one.error)}
        for one in found
        if isinstance(one, Unreachable)
    ]
    limits = ImageLimits()
    print_unknown(metadata, {one.name for one in files})

    def read() -> Iterable[NewImage]:
        for file in files:
            try:
                content = read_file(file.path, limits=limits).data
                yield NewImage(content=content, name=file.name, metadata=metadata.get(file.name, NO_METADATA))
            except GlyphseekError as error:
                note(file.name, error)

    def note(name: str, error: GlyphseekError) -> None:
        counts["refused"] += 1
        refusals.append({"name": name, "kind": type(error).__name__, "message": str(error)})

    with show_progress("index", quiet=as_json) as show:

        def on_added(added: AddedImage) -> None:
            if added.error is not None:
                note(added.name, added.error)
            else:
                counts[added.outcome] += 1
            show(sum(counts.values()), len(files), "sending")

        client.add_images(read(), on_added=on_added)
    report = {"found": len(files), **counts, "refusals": refusals}
    if as_json:
        print_json(report)
    else:
        out.print(f"{len(files)} photos found, " + ", ".join(f"{count} {what}" for what, count in counts.items()))
        for one in refusals[:_SHOWN_REFUSALS]:
            err.print(f"left out: {one['name']}: {one['kind']}: {one['message']}", markup=False)
        if len(refusals) > _SHOWN_REFUSALS:
            err.print(f"... and {len(refusals) - _SHOWN_REFUSALS} more; --json lists them", markup=False)
    return not refusals
