"""The `glyphseek` command: one file per subcommand, put together here.

Importing this is cheap: torch, scipy and the renderers are imported by the commands that need them, when they run.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import typer

from glyphseek.cli.codecs import codecs
from glyphseek.cli.console import fail
from glyphseek.cli.evaluate import evaluate
from glyphseek.cli.index import index
from glyphseek.cli.ingest import ingest
from glyphseek.cli.package import package
from glyphseek.cli.render import render
from glyphseek.cli.search import search
from glyphseek.cli.serve import serve
from glyphseek.cli.train import train
from glyphseek.cli.upkeep import delete, export, gc, info, verify
from glyphseek.errors import GlyphseekError

app = typer.Typer(
    help="Search a gallery of photos by the words written in them, without OCR.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(index)
app.command()(ingest)
app.command()(search)
app.command()(serve)
app.command()(info)
app.command()(verify)
app.command()(gc)
app.command()(delete)
app.command()(export)
app.command("eval")(evaluate)
app.command()(codecs)
app.command()(render)
app.command()(train)
app.command()(package)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of the process, or the one given.

    An error raised on purpose, or by the system, is printed as one line and ends with its exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(arguments)
    except (GlyphseekError, OSError) as error:
        fail(error)
