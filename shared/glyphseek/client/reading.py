"""JSON of a gateway to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glyphseek.client.results import AddedImage, Collection, Generation, HitView, ImagePage, SearchPage
from glyphseek.errors import GlyphseekError
from glyphseek.metadata import Metadata
from glyphseek.ranking import TermMatch
from glyphseek.rpc.problems import error_of_problem
from glyphseek.search import Degradation, Hit, Timings
from glyphseek.types import ImageRecord

Json = Mapping[str, Any]


def read_page(body: Json) -> SearchPage:
    """Return a page of hits."""
    return SearchPage(
        query=body["query"],
        hits=tuple(map(read_hit, body["hits"])),
        confident=body["confident"],
        degraded=_read_degraded(body["degraded"]),
        timings=Timings(**body["timings"]),
        next_page_token=body["next_page_token"],
        model=body["model"],
    )


def read_batch(body: Json) -> list[SearchPage | GlyphseekError]:
    """Return what became of each of several searches."""
    return [
        read_page(one["response"]) if one.get("response") is not None else _read_error(one["error"])
        for one in body["results"]
    ]


def read_view(body: Json) -> HitView:
    """Return one image as it answers a query."""
    return HitView(hit=read_hit(body["hit"]), degraded=_read_degraded(body["degraded"]))


def read_hit(body: Json) -> Hit:
    """Return a hit."""
    record = read_image(body["image"])
    maps = body.get("attention")
    return Hit(
        image_id=record.image_id,
        names=record.names,
        width=record.width,
        height=record.height,
        score=body["score"],
        stages=tuple(body["stages"]),
        matches=tuple(map(_read_match, body["matches"])),
        attention=None if maps is None else {term: np.array(rows, np.float32) for term, rows in maps.items()},
        record=record,
    )


def read_image(body: Json) -> ImageRecord:
    """Return what is known of an image."""
    return ImageRecord(
        image_id=body["image_id"],
        content_hash=body["content_hash"],
        names=tuple(body["names"]),
        width=body["width"],
        height=body["height"],
        instance_count=body["instance_count"],
        metadata=Metadata(body["metadata"]),
    )


def read_added(body: Json, names: Sequence[str]) -> list[AddedImage]:
    """Return what became of photos that were sent under these names."""
    return [
        AddedImage(
            name=name,
            image_id=one["image_id"],
            outcome=one["outcome"],
            error=None if one.get("error") is None else _read_error(one["error"]),
        )
        for name, one in zip(names, body["images"], strict=True)
    ]


def read_images(body: Json) -> ImagePage:
    """Return a page of images."""
    return ImagePage(images=tuple(map(read_image, body["images"])), next_page_token=body["next_page_token"])


def read_collection(body: Json) -> Collection:
    """Return a collection."""
    return Collection(name=body["name"], generations=tuple(Generation(**one) for one in body["generations"]))


def read_collections(body: Json) -> tuple[Collection, ...]:
    """Return all collections."""
    return tuple(map(read_collection, body["collections"]))


def read_removed(body: Json) -> tuple[str, ...]:
    """Return the ids of the images that are no more."""
    return tuple(body["removed_ids"])


def _read_degraded(body: Sequence[Json]) -> tuple[Degradation, ...]:
    return tuple(Degradation(**one) for one in body)


def _read_match(body: Json) -> TermMatch:
    box = body["box"]
    return TermMatch(
        term=body["term"],
        similarity=body["similarity"],
        instance=body["instance"],
        box=None if box is None else (box["left"], box["top"], box["right"], box["bottom"]),
    )


def _read_error(body: Json) -> GlyphseekError:
    told = {"type": f"urn:glyphseek:problem:{body['kind']}", "detail": body["message"]}
    return error_of_problem(body["status"], told, "the gateway")
