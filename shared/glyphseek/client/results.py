"""What a gateway answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from glyphseek.errors import GlyphseekError
from glyphseek.search import Degradation, Hit, Timings
from glyphseek.types import ImageRecord, MetadataValue


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Hits, best first, equal scores by image id.

    query: as it was understood. confident: whether any hit of the first page reaches the model's threshold. degraded:
    what stages went without; empty when nothing is missing. next_page_token: empty when there are no more hits. model:
    the fingerprint of the model that answered.
    """

    query: str
    hits: tuple[Hit, ...]
    confident: bool
    degraded: tuple[Degradation, ...]
    timings: Timings
    next_page_token: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HitView:
    """One image as it answers a query."""

    hit: Hit
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """A photo to add. image_id: the content's hash is used when it is empty. name: for people.

    Metadata: up to 32 names of letters, digits and `_` with texts, numbers or truth values.
    """

    content: bytes = field(repr=False)
    name: str
    image_id: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict[str, MetadataValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedImage:
    """What became of a photo; `name` is the one it was sent with, `error` why it was refused."""

    name: str
    image_id: str
    outcome: Literal["added", "unchanged", "updated", "refused"]
    error: GlyphseekError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """Images ordered by id; `next_page_token` is empty when there are no more."""

    images: tuple[ImageRecord, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One model's version of a collection; searches go to the current one."""

    model_name: str
    model_fingerprint: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection and its generations, the current one first."""

    name: str
    generations: tuple[Generation, ...]
