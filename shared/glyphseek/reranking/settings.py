"""How much a reranker may hold and do at once."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerSettings:
    """Bounds of one reranker, shared by all requests; impossible ones raise SettingError.

    cache_bytes: opened token maps kept between requests. 256 MiB hold 5,000 maps of 400 x 128 bytes; 0 keeps none.
    fetch_threads: threads that fetch and open blobs for one request, the caller's own among them. A local folder has
        the system read all files ahead at once and gains nothing from a second thread (on two busy cores it loses: 4.3
        ms become 9 for 32 files of 53 kB); a store that gets one blob after the other over a network wants 16 or more.
    max_images: most images of one request; it bounds what one request may hold, as maps in use are held outside the
        cache too.
    fetch_timeout_s: how long a store on a network may take for the blobs of one request; those that are not there by
        then count as faults.
    """

    cache_bytes: int = 256 * 2**20
    fetch_threads: int = 1
    max_images: int = 512
    fetch_timeout_s: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("cache_bytes", 0), ("fetch_threads", 1), ("max_images", 1)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")
        if not self.fetch_timeout_s > 0:
            raise SettingError(f"fetch_timeout_s is {self.fetch_timeout_s}, it must be above 0")
