"""Where a service is: an address, and the name of the application behind Ray Serve's proxy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glyphseek.errors import SettingError

_FORM = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})(?:/(?P<application>[^\s/]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`application` is sent with each call, as Ray Serve finds the application by it; empty where there is no Serve."""

    host: str
    port: int
    application: str = ""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Return the endpoint of `host:port` or `host:port/application`; a host in brackets is an IPv6 address.

        Raises SettingError for any other text.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None or not 1 <= int(found["port"]) <= 65_535:
            raise SettingError(f"the address is {text!r}, it must be host:port or host:port/application")
        return cls(host=found["host"], port=int(found["port"]), application=found["application"] or "")

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.address}/{self.application}" if self.application else self.address
