"""What one request to the gateway may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of requests; each is in the message that refuses a request past it.

    max_hits: how deep the pages of one search go. Recall likes at least as many images best, however many are asked
        for, so that the order of pages never depends on where one of them ends.
    deadline_s: of a search, unless the caller gives less. read_s: of what only reads rows. write_s: of changes.
        upload_s: from the first byte of an upload to its outcome. upload_idle_s: how long a stream may be silent.
    max_image_bytes: of one photo. max_upload_bytes, max_upload_images: of one upload over HTTP. As many bytes are at
        most held of photos that come as addresses, by an upload or a stream; more are read in parts.
    """

    max_query_characters: int = 256
    max_filter_characters: int = 1024
    page_size: int = 10
    max_page_size: int = 100
    max_hits: int = 200
    max_batch_searches: int = 32
    list_size: int = 100
    max_list_size: int = 1000
    max_deleted: int = 1000
    max_json_bytes: int = 256 * 1024
    max_image_bytes: int = 32 * 2**20
    max_upload_bytes: int = 128 * 2**20
    max_upload_images: int = 64
    max_stream_images: int = 16
    picture_width: int = 1024
    min_picture_width: int = 64
    max_picture_width: int = 2048
    deadline_s: float = 2.0
    read_s: float = 5.0
    write_s: float = 180.0
    upload_s: float = 120.0
    upload_idle_s: float = 60.0


def check_within(name: str, value: int, least: int, most: int) -> int:
    """Return the value; raise SettingError with it and both limits when it is outside of them."""
    if not least <= value <= most:
        raise SettingError(f"{name} is {value}, it must be {least} to {most}")
    return value
