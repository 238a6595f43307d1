"""What a blob's key may look like: the one rule that every feature store shares."""

from __future__ import annotations

import re

from glyphseek.errors import InputError

MAX_SEGMENT_CHARACTERS = 200
MAX_KEY_CHARACTERS = 1000

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")


def check_key(key: str) -> str:
    """Return `key` when it is a relative path of ASCII letters, digits, `-` and `_`, with `/` between its segments.

    Raises InputError for anything else (so also for `..`, an empty segment, a leading or trailing `/`), for a segment
    over 200 characters and for a key over 1,000.
    """
    if len(key) > MAX_KEY_CHARACTERS:
        raise InputError(f"blob key has {len(key)} characters, the limit is {MAX_KEY_CHARACTERS}")
    if _KEY.fullmatch(key) is None:
        raise InputError(f"blob key {key!r} is not a relative path of letters, digits, '-', '_' and '/'")
    longest = max(map(len, key.split("/")))
    if longest > MAX_SEGMENT_CHARACTERS:
        raise InputError(f"blob key has a segment of {longest} characters, the limit is {MAX_SEGMENT_CHARACTERS}")
    return key
