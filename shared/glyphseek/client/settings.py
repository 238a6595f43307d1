"""How a client asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from glyphseek.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the gateway is and how long it is waited for; impossible values raise SettingError.

    url: `http://host:port` or https. collection: the one that is meant where a call names none. key: an API key, never
    printed. timeout_s: of a search and of other short requests; it is told to the server, which stops working then.
    upload_timeout_s: of one request with photos. upload_images, upload_bytes: photos of one such request.
    attempts: how often a request is made at most when the server is overloaded or did not answer; each waits as long
    as the server says, or 0.2 s and then twice as long each time.
    """

    url: str
    collection: str = ""
    key: str = field(default="", repr=False)
    timeout_s: float = 10.0
    upload_timeout_s: float = 300.0
    upload_images: int = 16
    upload_bytes: int = 32 * 2**20
    attempts: int = 3

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise SettingError("the url of the gateway must be http://host:port or https://host:port")
        bounds = (("timeout_s", 0.001), ("upload_timeout_s", 0.001), ("upload_images", 1), ("attempts", 1))
        for name, least in bounds:
            if not (value := getattr(self, name)) >= least:
                raise SettingError(f"{name} is {value}, it must be at least {least}")

    def collection_or(self, name: str | None) -> str:
        """Return the collection that a call means. Raises SettingError where neither names one."""
        if chosen := name or self.collection:
            return chosen
        raise SettingError("no collection is named: give it to the call, or to the client")

    def wait_s(self, attempt: int, told_s: float | None) -> float:
        """Return how long to wait after attempt number 1, 2, ...: what the server said, or twice as long each time."""
        return 0.2 * 2 ** (attempt - 1) if told_s is None else told_s
