"""One owner for a folder: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from glyphseek.errors import GalleryBusy

_LOCK_NAME = "owner.lock"


class FolderLock:
    """Holds a folder until `release` or the end of the process; a second holder, in any process, is refused.

    Raises GalleryBusy, with the holder's process id, when the folder is held. The folder must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise GalleryBusy(f"{folder} is open in another place (process {holder})") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next holder in; must be called once at most."""
        os.close(self._descriptor)
