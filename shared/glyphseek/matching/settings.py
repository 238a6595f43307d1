"""How much a matcher may hold and do at once."""

from __future__ import annotations

from dataclasses import dataclass

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class MatcherSettings:
    """Bounds of one matcher, shared by all requests; impossible ones raise SettingError.

    cache_bytes: opened instances kept between requests. 256 MiB hold those of 6,100 images of ten words, with their
        letters; 0 keeps none.
    max_images: most images of one request, and with it the bytes that are open at once.
    fetch_timeout_s: how long a store on a network may take for the blobs of one request; those that are not there by
        then count as faults.
    """

    cache_bytes: int = 256 * 2**20
    max_images: int = 4096
    fetch_timeout_s: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("cache_bytes", 0), ("max_images", 1)):
            if (value := getattr(self, name)) < least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")
        if not self.fetch_timeout_s > 0:
            raise SettingError(f"fetch_timeout_s is {self.fetch_timeout_s}, it must be above 0")
