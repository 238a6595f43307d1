"""Where the next page begins, as a token that says nothing to people and is good for one question only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass

from glyphseek.errors import InputError

MAX_TOKEN_CHARACTERS = 1024
_CHECK_BYTES = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")  # of models' fingerprints and of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """A place in the answer of one generation: after `offset` hits, 0 or more, or after the image `after`."""

    fingerprint: str
    offset: int = 0
    after: str = ""


def write_token(bookmark: Bookmark, *question: object) -> str:
    """Return the token of a bookmark, bound to the question: whatever the answer depends on."""
    text = json.dumps([bookmark.fingerprint, bookmark.offset, bookmark.after], separators=(",", ":"))
    return base64.urlsafe_b64encode(_check(text, question) + text.encode()).decode().rstrip("=")


def read_token(token: str, *question: object) -> Bookmark | None:
    """Return the bookmark of a token, None for the empty one: the first page.

    Raises InputError for a token of another question, and for one that is damaged or made up; they cannot be told
    apart. A token is no secret: whoever can compute its check may write one, so what it says is looked at too.
    """
    if not token:
        return None
    wrong = InputError(
        "page_token is not of this request: it is good for the same query, filter, rerank and collection only"
    )
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise wrong
    try:
        whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        text = whole[_CHECK_BYTES:].decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise wrong from error
    if whole[:_CHECK_BYTES] != _check(text, question):
        raise wrong
    bookmark = _read_bookmark(text)
    if bookmark is None:
        raise wrong
    return bookmark


def _read_bookmark(text: str) -> Bookmark | None:
    try:
        match json.loads(text):
            case [str(fingerprint), int(offset), str(after)] if (
                not isinstance(offset, bool)
                and offset >= 0
                and _NAME.fullmatch(fingerprint)
                and (not after or _NAME.fullmatch(after))
            ):
                return Bookmark(fingerprint=fingerprint, offset=offset, after=after)
            case _:
                return None
    except (ValueError, RecursionError):
        return None


def _check(text: str, question: tuple[object, ...]) -> bytes:
    return hashlib.sha256(json.dumps([text, *map(str, question)]).encode()).digest()[:_CHECK_BYTES]
