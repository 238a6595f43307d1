"""Commands in two processes that torchrun starts on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def torchrun(*words: object, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Return how a command ended in two processes. One that takes longer is told to stop them, and the test fails."""
    together = (PROGRAMS / "torchrun", "--standalone", "--nproc-per-node=2", "--no-python", "--")
    command = [str(word) for word in (*together, *words)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = started.communicate(timeout=timeout_s)
    finally:
        started.terminate()  # torchrun then ends the processes it started, each of which has a group of its own
        started.wait(60)
    return subprocess.CompletedProcess(command, started.returncode, out, err)
