"""What all commands share: where text goes, how long work shows itself, how errors end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from glyphseek.errors import GlyphseekError, InputError, MissingExtra

EXIT_ERROR = 1
EXIT_INPUT = 2
EXIT_SKIPPED = 3
"""The work is done, but some photos were left out; the report says which."""
EXIT_STOPPED = 4
"""The work ended early and can be gone on with."""
PLAIN_INTERVAL_S = 5.0

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

OnProgress = Callable[[int, int, str], None]
"""Takes how many are done, of how many, and a word on what is going on."""


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def fail(error: GlyphseekError | OSError) -> NoReturn:
    """Print the error as a person should see it and end with its exit code: 2 for bad input, 1 otherwise."""
    err.print(Text(f"{type(error).__name__}: ", style="bold red").append(str(error), style="default"))
    raise SystemExit(EXIT_INPUT if isinstance(error, InputError) else EXIT_ERROR)


@contextmanager
def needing_extra(extra: str) -> Generator[None]:
    """Turn a library that cannot be imported inside the block into MissingExtra, which names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed: pip install 'glyphseek[{extra}]'") from error


class RateColumn(ProgressColumn):
    """Images per second since the start."""

    def render(self, task: Task) -> Text:
        """Return the rate, or a dash before anything is done."""
        speed = task.finished_speed or task.speed
        return Text("-- images/s" if speed is None else f"{speed:.1f} images/s")


@contextmanager
def show_progress(title: str, *, quiet: bool) -> Generator[OnProgress]:
    """Yield a function that shows progress on standard error: a bar on a terminal, else a line every few seconds."""
    if quiet:
        yield lambda done, total, doing: None
    elif err.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total, doing: bar.update(
                task, completed=done, total=total or None, description=f"{title}: {doing}"
            )
    else:
        yield PlainProgress(title)


class PlainProgress:
    """Progress as lines, for logs and pipes."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, total: int, doing: str) -> None:
        """Print where the work stands, at most every few seconds and once at the end."""
        now = time.monotonic()
        if now - self._last < PLAIN_INTERVAL_S and done != total:
            return
        self._last = now
        seconds = max(1e-9, now - self._started)
        rate = done / seconds
        left = f", {(total - done) / rate:.0f} s left" if done else ""
        err.print(f"{self._title}: {doing} {done}/{total}, {rate:.1f} images/s{left}")
