"""The photos of one upload in parts whose bytes are bounded, however many addresses there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from glyphseek.errors import ImageTooLarge, InputError, StoreError
from glyphseek.indexing import IntakeItem
from glyphseek_gateway.asks import NewImage
from glyphseek_gateway.limits import Limits

Refusal = InputError | StoreError
"""Why one photo is not taken."""


class PhotoSource(Protocol):
    """Reads photos by their addresses; the answers are in the order of the addresses.

    An address that is not allowed is an InputError, an object that is larger than `max_bytes` ImageTooLarge, one that
    is not there ImageNotFound, and StoreUnavailable is told of each too. Raises DeadlineExceeded.
    """

    def measure(self, uris: Sequence[str], *, max_bytes: int) -> list[int | InputError | StoreError]:
        """Return how many bytes each photo has, or why it is refused; 0 where only reading can tell."""
        ...

    def read(self, uris: Sequence[str], *, max_bytes: int) -> list[bytes | InputError | StoreError]:
        """Return the bytes of each photo, or why it is refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A photo of an upload: how many bytes it has, or why it is refused without a look at them."""

    image: NewImage
    size: int | Refusal


class Photos:
    """The photos of uploads, sent as bytes or as addresses."""

    def __init__(self, source: PhotoSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits

    def split(self, images: Sequence[NewImage]) -> list[list[Expected]]:
        """Return the photos in their order, in parts of at most `max_upload_bytes`; nothing of them is read yet."""
        return list(_split(self._measure(images), self._limits.max_upload_bytes))

    def read(self, part: Sequence[Expected]) -> list[IntakeItem | Refusal]:
        """Return each photo of a part with its bytes, or why it is refused."""
        uris = [one.image.uri for one in part if _is_wanted_by_address(one)]
        contents = iter(self._source.read(uris, max_bytes=self._limits.max_image_bytes) if uris else ())
        return [_make_item(one, next(contents) if _is_wanted_by_address(one) else one.image.content) for one in part]

    def _measure(self, images: Sequence[NewImage]) -> list[Expected]:
        most = self._limits.max_image_bytes
        uris = [image.uri for image in images if image.uri and image.fault is None]
        sizes = iter(self._source.measure(uris, max_bytes=most) if uris else ())
        found: list[Expected] = []
        for image in images:
            size: int | Refusal = len(image.content)
            if image.fault is not None:
                size = image.fault
            elif image.uri:
                size = next(sizes)
            elif size > most:
                size = ImageTooLarge(f"{size} bytes; the limit is {most}")
            found.append(Expected(image=image, size=size))
        return found


def _split(photos: Sequence[Expected], most_bytes: int) -> Iterator[list[Expected]]:
    part: list[Expected] = []
    held = 0
    for one in photos:
        size = one.size if isinstance(one.size, int) else 0
        if part and held + size > most_bytes:
            yield part
            part, held = [], 0
        part.append(one)
        held += size
    if part:
        yield part


def _is_wanted_by_address(one: Expected) -> bool:
    return bool(one.image.uri) and isinstance(one.size, int)


def _make_item(one: Expected, content: bytes | Refusal) -> IntakeItem | Refusal:
    image = one.image
    if not isinstance(one.size, int):
        return one.size
    if not isinstance(content, bytes):
        return content
    return IntakeItem(
        content=content, image_id=image.image_id or None, name=image.name or None, metadata=image.metadata
    )
