"""How much a reranker may hold and do at once."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerSettings:
    """Bounds of one reranker, shared by all requests; impossible ones raise SettingError.

    cache_bytes: opened token maps kept between requests. 256 MiB hold 5,000 maps of 400 x 128 bytes; 0 keeps none.
    fetch_threads: blobs fetched at the same time. A local folder gains nothing from more than a machine has cores, an
        object store answers as many GETs at once as there are.
    max_images: most images of one request; it bounds what one request may hold, as maps in use are held outside the
        cache too.
    """

    cache_bytes: int = 256 * 2**20
    fetch_threads: int = 2
    max_images: int = 512

    def __post_init__(self) -> None:
        for name, least in (("cache_bytes", 0), ("fetch_threads", 1), ("max_images", 1)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")
