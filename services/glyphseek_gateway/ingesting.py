"""Images of collections: adding, removing, looking up and listing them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice

from glyphseek.errors import GalleryNotFound, GlyphseekError, ImageNotFound, InputError
from glyphseek.indexing import IntakeItem, IntakeResult, Removal
from glyphseek.metrics import Metrics
from glyphseek.types import ImageRecord
from glyphseek_gateway.asks import AddedImage, ImagePage, NewImage
from glyphseek_gateway.limits import Limits, check_within
from glyphseek_gateway.opened import OpenGeneration, OpenGenerations
from glyphseek_gateway.paging import Bookmark, read_token, write_token
from glyphseek_gateway.parts import Expected, Photos, PhotoSource

_REFUSED = "refused"


class Ingesting:
    """Changes and reads the images of collections. Its methods block and may be called from several threads."""

    def __init__(self, generations: OpenGenerations, source: PhotoSource, *, limits: Limits, metrics: Metrics) -> None:
        """`source` is where photos that come as addresses are read from."""
        self._generations = generations
        self._photos = Photos(source, limits)
        self._limits = limits
        self._metrics = metrics

    def add(self, collection: str, images: Sequence[NewImage], *, model: str = "") -> list[AddedImage]:
        """Return what became of each photo, in their order; one that is refused never fails the others.

        Photos are read and committed in parts of at most `max_upload_bytes`, all in one generation. Raises
        GalleryNotFound, StoreUnavailable and ServiceError, after which sending all again is right.
        """
        answers = self._generations.with_model(collection, model, partial(self._add, images=images))
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

    def _add(self, opened: OpenGeneration, *, images: Sequence[NewImage]) -> list[AddedImage]:
        return [answer for part in self._photos.split(images) for answer in self._add_part(opened, part)]

    def _add_part(self, opened: OpenGeneration, part: Sequence[Expected]) -> list[AddedImage]:
        """Read and commit one part. Its bytes are let go of with the return, before any other part is read."""
        read = self._photos.read(part)
        items = [one for one in read if isinstance(one, IntakeItem)]
        added = iter(opened.intake.add(items) if items else ())
        return [
            _tell(next(added)) if isinstance(one, IntakeItem) else _refuse(expected.image, one)
            for expected, one in zip(part, read, strict=True)
        ]


def _tell(result: IntakeResult) -> AddedImage:
    return AddedImage(image_id=result.image_id, outcome=result.outcome.value, error=result.error)


def _refuse(image: NewImage, error: GlyphseekError) -> AddedImage:
    return AddedImage(image_id=image.image_id, outcome=_REFUSED, error=error)


def _list(opened: OpenGeneration, *, size: int, after: str) -> ImagePage:
    found = list(islice(opened.vectors.scan(after=after), size + 1))
    images = tuple(found[:size])
    if len(found) <= size:
        return ImagePage(images=images, next_page_token="")
    bookmark = Bookmark(fingerprint=opened.card.fingerprint, after=images[-1].image_id)
    return ImagePage(images=images, next_page_token=write_token(bookmark, "list", opened.collection))
