"""A file beside the gallery that spares re-reading unchanged photos; a hint only, safe to lose or to find damaged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from glyphseek.images import FileStamp

_LOG = logging.getLogger(__name__)
_VERSION = 1
_HASH_DIGITS = 64
_COARSEST_CLOCK_NS = 2_000_000_000
"""FAT keeps times to 2 s: a file changed later than this before it was read may change again and keep its stamp."""


@dataclass(slots=True, kw_only=True)
class FileHints:
    """Content hashes by name and stamp, and the folder they are of. For one thread.

    A hash is believed only when size and both times of the file are what they were; a file that was changed within two
    seconds of being read is never remembered.
    """

    path: Path
    folder: Path | None = None
    _entries: dict[str, tuple[FileStamp, str]] = field(default_factory=dict[str, tuple[FileStamp, str]])
    _is_dirty: bool = False

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the hints in `path`; none at all when the file is missing, damaged or of another version."""
        try:
            document = json.loads(path.read_bytes())
            return cls(path=path, folder=Path(document["folder"]), _entries=_parse(document))
        except FileNotFoundError:
            return cls(path=path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _LOG.warning("hints_unusable path=%s reason=%s", path, error)
            return cls(path=path)

    def find(self, name: str, stamp: FileStamp) -> str | None:
        """Return the content hash of a file that has not changed since it was read, else None."""
        entry = self._entries.get(name)
        return entry[1] if entry is not None and entry[0] == stamp else None

    def remember(self, name: str, stamp: FileStamp, content_hash: str, *, read_ns: int) -> None:
        """Keep the hash of a file whose reading began at `read_ns`, unless its stamp is too young to be trusted."""
        if max(stamp.modified_ns, stamp.changed_ns) + _COARSEST_CLOCK_NS < read_ns:
            self._entries[name] = (stamp, content_hash)
            self._is_dirty = True

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the files that are not among `names`."""
        gone = self._entries.keys() - set(names)
        for name in gone:
            del self._entries[name]
        self._is_dirty = self._is_dirty or bool(gone)

    def save(self, folder: Path) -> None:
        """Write the hints whole or not at all; a failure only costs the next run time, so it is logged, not raised."""
        if not self._is_dirty and self.folder == folder:
            return
        files = {
            name: [stamp.size, stamp.modified_ns, stamp.changed_ns, digest]
            for name, (stamp, digest) in self._entries.items()
        }
        text = json.dumps({"version": _VERSION, "folder": str(folder), "files": files}, separators=(",", ":"))
        draft = self.path.with_name(f"{self.path.name}.tmp")
        try:
            draft.write_text(text, encoding="ascii")
            os.replace(draft, self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            _LOG.warning("hints_not_saved path=%s reason=%s", self.path, error)
            return
        self.folder, self._is_dirty = folder, False


def _parse(document: dict[str, object]) -> dict[str, tuple[FileStamp, str]]:
    if document["version"] != _VERSION:
        raise ValueError(f"version {document['version']}, expected {_VERSION}")
    entries: dict[str, tuple[FileStamp, str]] = {}
    for name, (size, modified_ns, changed_ns, digest) in cast("dict[str, list[object]]", document["files"]).items():
        if not (isinstance(size, int) and isinstance(modified_ns, int) and isinstance(changed_ns, int)):
            raise ValueError(f"the stamp of {name!r} is damaged")
        if not isinstance(digest, str) or len(digest) != _HASH_DIGITS:
            raise ValueError(f"the hash of {name!r} is damaged")
        entries[name] = (FileStamp(size=size, modified_ns=modified_ns, changed_ns=changed_ns), digest)
    return entries
