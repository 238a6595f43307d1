"""What may be asked of the gateway, and what it answers; the same over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from glyphseek.errors import GlyphseekError, InputError
from glyphseek.search import Degradation, Hit, Timings
from glyphseek.types import ImageRecord, MetadataValue
from glyphseek.vectors.milvus_generations import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAsk:
    """One search, or a further page of one. None is the server's choice; the empty filter lets every image through."""

    collection: str
    query: str
    page_size: int | None = None
    page_token: str = ""
    rerank: int | None = None
    filter: str = ""
    with_attention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """A page of hits, best first. `model` is the fingerprint of the model that answered; the last page has no token."""

    query: str
    hits: tuple[Hit, ...]
    confident: bool
    degraded: tuple[Degradation, ...]
    timings: Timings
    next_page_token: str
    model: str


BatchAnswer = SearchAnswer | GlyphseekError
"""What became of one of several searches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitAsk:
    """One image of a collection as it answers a query; `picture_width` in pixels, None for no picture, 0 for usual."""

    collection: str
    query: str
    image_id: str
    picture_width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HitAnswer:
    """The hit, and a PNG of where it answers if one was asked for and the photo's bytes are kept; else no bytes."""

    hit: Hit
    picture: bytes
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """A photo to add: its bytes, or with `uri` the address of them in an allowed bucket.

    `fault` is what was found wrong with it when it was received; it is then refused.
    """

    content: bytes = field(default=b"", repr=False)
    uri: str = ""
    image_id: str = ""
    name: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict[str, MetadataValue])
    fault: InputError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedImage:
    """What became of a photo: "added", "unchanged", "updated" or "refused", the last with the reason."""

    image_id: str
    outcome: str
    error: GlyphseekError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """Images ordered by id; the last page has no token."""

    images: tuple[ImageRecord, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection and its generations, the current one first."""

    name: str
    generations: tuple[Generation, ...]


def record_of(hit: Hit) -> ImageRecord:
    """Return what is known of the image of a hit."""
    if hit.record is None:
        raise ValueError(f"the hit of image {hit.image_id!r} has no record")
    return hit.record
