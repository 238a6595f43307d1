"""The `glyphseek` command: one file per subcommand, put together here."""

from __future__ import annotations

import typer

from glyphseek.cli.package import package
from glyphseek.cli.train import train

app = typer.Typer(help="Search a gallery of photos by the words written in them, without OCR.", no_args_is_help=True)
app.command()(train)
app.command()(package)
app.callback()(lambda: None)
