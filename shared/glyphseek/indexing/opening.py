"""From the bytes of a file to a photo and the beginning of its record; needs no model, so any worker can do it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from glyphseek.errors import ImageError
from glyphseek.images import ImageLimits, decode_image
from glyphseek.types import ImageRecord, RgbImage

_ID_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFile:
    """An image file as it was received. `image_id` is the caller's; without one the content gives it."""

    content: bytes = field(repr=False)
    image_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPhoto:
    """A photo at the size that was asked for. `record` lacks names, metadata and instance count.

    Its id is the content's own unless `is_named_by_caller`: then the blob under it may be that of another content.
    """

    record: ImageRecord
    pixels: RgbImage = field(repr=False)
    is_named_by_caller: bool = False


def hash_content(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def id_of(content_hash: str) -> str:
    """Return the id of an image that its caller gave none: the first 32 digits of the hash of its content."""
    return content_hash[:_ID_DIGITS]


def open_photo(file: EncodedFile, *, limits: ImageLimits, longer_side: int | None = None) -> OpenedPhoto | ImageError:
    """Return the photo in a file as people see it, or why there is none; `longer_side` as for `decode_image`."""
    content_hash = hash_content(file.content)
    try:
        photo = decode_image(file.content, limits=limits, longer_side=longer_side)
    except ImageError as error:
        return error
    record = ImageRecord(
        image_id=file.image_id or id_of(content_hash),
        content_hash=content_hash,
        names=(),
        width=photo.width,
        height=photo.height,
        instance_count=0,
    )
    is_named = record.image_id != id_of(content_hash)
    return OpenedPhoto(record=record, pixels=photo.pixels, is_named_by_caller=is_named)
