r"""Names of photos: valid Unicode that any store can hold, and the way back to the very bytes on disk.

A name is the path relative to the indexed folder, its parts joined by `/`. A file system may hold bytes that are not
UTF-8; each such byte is written `\xHH` (two lower-case hex digits), and a backslash that is on disk is written `\\`.
So every name is readable, no two paths share a name, and `path_of` undoes `name_of`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from glyphseek.errors import InputError

_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))?")


def name_of(parts: tuple[str, ...]) -> str:
    """Return the name of a file whose path below the indexed folder has these `parts`, as `os.listdir` gives them."""
    raw = b"/".join(os.fsencode(part) for part in parts)
    return raw.replace(b"\\", rb"\\").decode("utf-8", errors="backslashreplace")


def path_of(folder: Path, name: str) -> Path:
    """Return the path on disk of the photo called `name` in `folder`; the file need not exist.

    Raises InputError for a text that `name_of` never gives: a broken escape, a path that leaves the folder.
    """
    relative = os.fsdecode(_ESCAPE.sub(_unescape, _encode(name)))
    parts = tuple(relative.split("/"))
    if name_of(parts) != name or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise InputError(f"{name!r} is not the name of a photo inside a folder")
    return folder.joinpath(*parts)


def _encode(name: str) -> bytes:
    try:
        return name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{name!r} is not the name of a photo: it is not valid Unicode") from error


def _unescape(match: re.Match[bytes]) -> bytes:
    digits = match.group(1)
    return b"\\" if digits is None else bytes.fromhex(digits.decode("ascii"))
