"""Which bucket to use, and the bounds of what is asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from glyphseek.errors import SettingError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-]+/)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """A bucket and how it is used; impossible values raise SettingError, and no message repeats a key.

    endpoint: `http://host:port` or https, without credentials. prefix: of all object names; empty, or ends with `/`.
    access_key, secret_key: both or neither; without them the client looks where AWS tools do (environment, web
        identity, instance profile). Never printed.
    timeout_s: the deadline of one call (a `get` of many keys is one), retries included.
    attempt_timeout_s: of one request, from sending it to the last byte.
    retries: further attempts after a 5xx, a lost connection, a timeout or a body that is cut short; each waits about
        twice as long as the one before (50 ms at first, at most 1 s), by a random share less.
    max_in_flight: requests at once, of all callers together; it bounds connections and, with max_blob_bytes, memory.
    hedge_share: most second requests for each first one. A GET that has not finished within the 95th percentile of
        recent ones is asked for again, and the first answer counts; 0 turns this off.
    max_blob_bytes: a larger blob is refused when it is put, and not read when it is found.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    region: str = "us-east-1"
    timeout_s: float = 10.0
    attempt_timeout_s: float = 5.0
    connect_timeout_s: float = 1.0
    retries: int = 4
    max_in_flight: int = 64
    hedge_share: float = 0.1
    max_blob_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise SettingError("the S3 endpoint must be http://host:port or https://host:port, without credentials")
        if _BUCKET.fullmatch(self.bucket) is None:
            raise SettingError(f"bucket {self.bucket!r} is not 3 to 63 small letters, digits, '-' and '.'")
        if _PREFIX.fullmatch(self.prefix) is None:
            raise SettingError(f"prefix {self.prefix!r} is not made of letters, digits, '-', '_' and ends with '/'")
        if bool(self.access_key) != bool(self.secret_key):
            raise SettingError("an S3 access key and its secret key go together; one of them is empty")
        self._check_bounds()

    def _check_bounds(self) -> None:
        bounds = (
            ("timeout_s", 0.001, 3600),
            ("attempt_timeout_s", 0.001, 3600),
            ("connect_timeout_s", 0.001, 60),
            ("retries", 0, 20),
            ("max_in_flight", 1, 4096),
            ("hedge_share", 0, 1),
            ("max_blob_bytes", 1, 2**31),
        )
        for name, least, most in bounds:
            if not least <= (value := getattr(self, name)) <= most:
                raise SettingError(f"{name} is {value}, it must be within {least} to {most}")
