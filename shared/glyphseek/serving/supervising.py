"""Processes that belong together: all are started, one that ends is started again, and all are ended."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from glyphseek.errors import SettingError

_LOG = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_LONGEST_WAIT_S = 10.0
_STEADY_S = 30.0  # a process that ran for so long starts again at once
_TOLD_CHARACTERS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One process: its name, what to run, and its whole environment."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)


class _Child:
    """One command, as it runs now and how often it had to be started again."""

    def __init__(self, command: Command, log: Path) -> None:
        self.command = command
        self.log = log
        self.starts = 0
        self.started_s = 0.0
        self.due_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None


class Supervisor:
    """Starts the commands inside a block and ends them, and whatever they started, with it.

    Each writes to `<logs>/<name>.log`, and is ended by the system should this process be killed.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        *,
        logs: Path,
        grace_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`grace_s`: how long a process may take to end before it is killed."""
        self._children = [_Child(command, logs / f"{command.name}.log") for command in commands]
        self._logs = logs
        self._grace_s = grace_s
        self._clock = clock

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            for child in self._children:
                self._start(child)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes that run, by name."""
        return {
            child.command.name: child.process.pid
            for child in self._children
            if child.process is not None and child.process.poll() is None
        }

    def look(self, *, is_starting: bool = False) -> None:
        """Start again what has ended; one that ends quickly again and again waits up to 10 s between its starts.

        Raises SettingError, with what it said last, for one that cannot run as it is told to (exit code 2), and while
        everything `is_starting` for any that ends.
        """
        for child in self._children:
            if child.process is None or (code := child.process.poll()) is None:
                continue
            if code == 2 or is_starting:
                raise SettingError(f"{child.command.name} ended with {code}: {_last_words(child.log)}")
            self._start_again(child, code)

    def stop(self) -> None:
        """End all processes, together; those that do not end in time are killed, and so is what they left behind."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = self._clock() + self._grace_s
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - self._clock()))
            _kill_group(process)
            process.wait()
        for child in self._children:
            child.process = None

    def _start(self, child: _Child) -> None:
        with open(child.log, "ab") as output:
            child.process = subprocess.Popen(
                list(child.command.arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(child.command.environment),
                start_new_session=True,  # Ctrl-C is for this process, which ends the others in order
                preexec_fn=_end_with_parent,
            )
        child.starts += 1
        child.started_s = self._clock()

    def _start_again(self, child: _Child, code: int) -> None:
        now = self._clock()
        if not child.due_s:
            if now - child.started_s >= _STEADY_S:
                child.starts = 1
            wait_s = 0.0 if child.starts == 1 else min(_LONGEST_WAIT_S, 0.5 * 2 ** (child.starts - 2))
            child.due_s = now + wait_s
            _LOG.warning("process_ended name=%s code=%d wait_s=%.1f", child.command.name, code, wait_s)
        if now >= child.due_s:
            child.due_s = 0.0
            if child.process is not None:
                _kill_group(child.process)
            self._start(child)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _last_words(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-_TOLD_CHARACTERS:].strip() or "it said nothing"
    except OSError:
        return "it said nothing"
