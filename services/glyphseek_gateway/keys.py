"""Who may do what: named API keys with scopes. Only hashes are kept, and no key is ever in a log or a message.

The file is JSON, made with `python -m glyphseek_gateway --new-key NAME --scopes read,write`:

    {"keys": [{"name": "web", "sha256": "9f86d0...", "scopes": ["read"]}]}

Keys are 32 random bytes, so that one round of SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast

from glyphseek.errors import PermissionDenied, SettingError, Unauthenticated

MAX_KEY_CHARACTERS = 512
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_LOOK_AGAIN_S = 2.0

_LOG = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a key is good for; none includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the name of a key, never the key itself."""

    name: str
    scopes: frozenset[Scope]

    def check(self, scope: Scope) -> None:
        """Raise PermissionDenied, with the key's name and scopes, unless it has the scope."""
        if scope not in self.scopes:
            held = ", ".join(sorted(self.scopes)) or "none"
            raise PermissionDenied(f"key {self.name!r} has the scopes {held}; this needs {scope}")


class Keys(Protocol):
    """Knows who stands behind a key."""

    def identify(self, secret: str) -> Caller:
        """Return whose key it is. Raises Unauthenticated for no key (the empty string) and for an unknown one."""
        ...


class NoKeys:
    """Lets everybody do everything: for a door that only this machine can reach."""

    def identify(self, secret: str) -> Caller:
        """Return a nameless caller with all scopes."""
        return Caller(name="anonymous", scopes=frozenset(Scope))


class KeyFile:
    """The keys of a file, which is read again when it changes: removing a key works within seconds, without a restart.

    A file that became unreadable changes nothing, and is logged.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingError for a file that cannot be read, has no keys, unknown scopes, or a name twice."""
        self._path = path
        self._clock = clock
        self._callers = read_keys(path)
        self._stamp = _stamp_of(path)
        self._looked_s = clock()

    def identify(self, secret: str) -> Caller:
        """Return whose key it is; every known hash is compared in constant time. Raises Unauthenticated."""
        self._look_again()
        if not secret:
            raise Unauthenticated("a key is needed: `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        digest = hash_key(secret[:MAX_KEY_CHARACTERS])
        found: Caller | None = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None or len(secret) > MAX_KEY_CHARACTERS:
            raise Unauthenticated("the key is not known")
        return found

    def _look_again(self) -> None:
        if self._clock() - self._looked_s < _LOOK_AGAIN_S:
            return
        self._looked_s = self._clock()
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return
        try:
            self._callers = read_keys(self._path)
        except SettingError as error:
            _LOG.error("keys_not_read reason=%r", str(error))
        else:
            _LOG.info("keys_read count=%d", len(self._callers))
        self._stamp = stamp


def open_keys(path: str) -> Keys:
    """Return the keys of the file, or with an empty path what lets everybody in. Raises SettingError."""
    return KeyFile(Path(path)) if path else NoKeys()


def read_keys(path: Path) -> dict[str, Caller]:
    """Return the callers of a file by the hash of their key. Raises SettingError with the name of a wrong entry."""
    try:
        values: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"the keys {path} cannot be read: {error}") from error
    entries = cast("Mapping[str, object]", values).get("keys") if isinstance(values, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SettingError(f'the keys {path} must be {{"keys": [...]}} with at least one')
    callers = dict(_read_entry(entry) for entry in cast("list[object]", entries))
    names = {caller.name for caller in callers.values()}
    if len(names) < len(entries):
        raise SettingError(f"the keys {path} have a name or a hash twice")
    return callers


def make_key(name: str, scopes: frozenset[Scope]) -> tuple[str, dict[str, object]]:
    """Return a new key and its entry for the file, which does not hold the key. Raises SettingError for the name."""
    secret = secrets.token_urlsafe(32)
    entry: dict[str, object] = {"name": name, "sha256": hash_key(secret), "scopes": sorted(scopes)}
    _read_entry(entry)
    return secret, entry


def hash_key(secret: str) -> str:
    """Return the SHA-256 of a key, 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def read_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes of `read,write`. Raises SettingError with the known ones."""
    return _to_scopes("the new key", [one.strip() for one in text.split(",")])


def secret_of(headers: Mapping[str, str]) -> str:
    """Return the key in `authorization` or `x-api-key` (names in lower case), the empty string when there is none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return headers.get("x-api-key", "").strip()


def _read_entry(entry: object) -> tuple[str, Caller]:
    found = cast("Mapping[str, object]", entry) if isinstance(entry, dict) else {}
    name, digest, scopes = found.get("name"), found.get("sha256"), found.get("scopes")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise SettingError(f"the name of a key is {name!r}, it must be 1 to 64 letters, digits, '.', '-' and '_'")
    if not isinstance(digest, str) or _HASH.fullmatch(digest) is None:
        raise SettingError(f"sha256 of key {name!r} must be 64 small hexadecimal digits")
    if not isinstance(scopes, list):
        raise SettingError(f"scopes of key {name!r} must be a list")
    return digest, Caller(name=name, scopes=_to_scopes(name, cast("list[object]", scopes)))


def _to_scopes(name: str, scopes: list[object] | list[str]) -> frozenset[Scope]:
    known = [str(one) for one in Scope]
    if not scopes or any(one not in known for one in scopes):
        raise SettingError(f"scopes of key {name!r} are {scopes!r}, they must be some of {', '.join(known)}")
    return frozenset(Scope(str(one)) for one in scopes)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
