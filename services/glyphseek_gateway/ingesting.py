"""Images of collections: adding, removing, looking up and listing them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Protocol

from glyphseek.errors import GalleryNotFound, GlyphseekError, ImageNotFound, ImageTooLarge, InputError, StoreError
from glyphseek.indexing import IntakeItem, Removal
from glyphseek.metrics import Metrics
from glyphseek.types import ImageRecord
from glyphseek_gateway.asks import AddedImage, ImagePage, NewImage
from glyphseek_gateway.limits import Limits, check_within
from glyphseek_gateway.opened import OpenGeneration, OpenGenerations
from glyphseek_gateway.paging import Bookmark, read_token, write_token

_REFUSED = "refused"
_IMAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class PhotoSource(Protocol):
    """Reads photos by their address."""

    def read(self, uri: str, *, max_bytes: int) -> bytes:
        """Return the bytes. Raises InputError for an address that is not allowed, ImageTooLarge, ImageNotFound."""
        ...


class Ingesting:
    """Changes and reads the images of collections. Its methods block and may be called from several threads."""

    def __init__(self, generations: OpenGenerations, source: PhotoSource, *, limits: Limits, metrics: Metrics) -> None:
        """`source` is where photos that come as addresses are read from."""
        self._generations = generations
        self._source = source
        self._limits = limits
        self._metrics = metrics

    def add(self, collection: str, images: Sequence[NewImage], *, model: str = "") -> list[AddedImage]:
        """Return what became of each photo, in their order; one that is refused never fails the others.

        Raises GalleryNotFound, StoreUnavailable and ServiceError, after which sending all again is right.
        """
        read = [self._read(image) for image in images]
        items = [one for one in read if isinstance(one, IntakeItem)]
        added = iter(self._generations.with_model(collection, model, partial(_add, items=items)))
        answers = [
            next(added) if isinstance(one, IntakeItem) else _refuse(image, one)
            for image, one in zip(images, read, strict=True)
        ]
        for answer in answers:
            self._metrics.images.labels(answer.outcome).inc()
        return answers

    def delete(self, collection: str, image_ids: Sequence[str], *, model: str = "") -> Removal:
        """Remove images and say which there were. Raises GalleryNotFound, StoreUnavailable."""
        return self._generations.with_model(collection, model, lambda opened: opened.intake.delete(image_ids))

    def get(self, collection: str, image_id: str) -> ImageRecord:
        """Return what is known of an image. Raises ImageNotFound, GalleryNotFound."""
        found = self._generations.with_current(collection, lambda opened: opened.vectors.get([image_id]))
        if image_id not in found:
            raise ImageNotFound(f"collection {collection!r} has no image {image_id[:200]!r}")
        return found[image_id]

    def list(self, collection: str, *, page_size: int | None, page_token: str) -> ImagePage:
        """Return a page of images ordered by id. Raises SettingError, InputError, GalleryNotFound."""
        size = self._limits.list_size if page_size is None else page_size
        check_within("page_size", size, 1, self._limits.max_list_size)
        begin = read_token(page_token, "list", collection)
        work = partial(_list, size=size, after="" if begin is None else begin.after)
        if begin is None:
            return self._generations.with_current(collection, work)
        try:
            return self._generations.with_fingerprint(collection, begin.fingerprint, work)
        except GalleryNotFound as error:
            raise InputError("page_token is of a generation that is no more; list again without it") from error

    def _read(self, image: NewImage) -> IntakeItem | GlyphseekError:
        """Return the photo with its bytes, or why it is refused."""
        if image.fault is not None:
            return image.fault
        try:
            content = (
                self._source.read(image.uri, max_bytes=self._limits.max_image_bytes) if image.uri else image.content
            )
        except (InputError, StoreError) as error:
            return error
        if len(content) > self._limits.max_image_bytes:
            return ImageTooLarge(f"{len(content)} bytes; the limit is {self._limits.max_image_bytes}")
        return IntakeItem(
            content=content, image_id=image.image_id or None, name=image.name or None, metadata=image.metadata
        )


def _add(opened: OpenGeneration, *, items: Sequence[IntakeItem]) -> list[AddedImage]:
    return [
        AddedImage(image_id=one.image_id, outcome=one.outcome.value, error=one.error)
        for one in (opened.intake.add(items) if items else ())
    ]


def _refuse(image: NewImage, error: GlyphseekError) -> AddedImage:
    return AddedImage(image_id=image.image_id, outcome=_REFUSED, error=error)


def _list(opened: OpenGeneration, *, size: int, after: str) -> ImagePage:
    found = list(islice(opened.vectors.scan(after=after), size + 1))
    images = tuple(found[:size])
    if len(found) <= size:
        return ImagePage(images=images, next_page_token="")
    bookmark = Bookmark(fingerprint=opened.card.fingerprint, after=images[-1].image_id)
    return ImagePage(images=images, next_page_token=write_token(bookmark, "list", opened.collection))
