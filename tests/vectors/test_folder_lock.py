from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glyphseek.errors import GalleryBusy
from glyphseek.vectors.folder_lock import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from glyphseek.vectors.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_holder_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(GalleryBusy, match=rf"process {os.getpid()}\)"):
        FolderLock(tmp_path)
    lock.release()


def test_a_released_folder_may_be_held_again(tmp_path: Path) -> None:
    for _ in range(3):
        FolderLock(tmp_path).release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(GalleryBusy, match=f"process {holder.pid}"):
            FolderLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
    FolderLock(tmp_path).release()
