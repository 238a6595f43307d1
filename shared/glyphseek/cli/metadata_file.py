"""A file of metadata of photos, by their paths below a folder: JSON, JSONL or CSV.

    {"trip/a.jpg": {"city": "Oslo", "year": 2021}}        photos.json
    {"file_name": "trip/a.jpg", "city": "Oslo"}           photos.jsonl, a line for each photo
    file_name,city,year                                   photos.csv, a line for each photo; an empty cell says nothing
    trip/a.jpg,Oslo,2021

`file_name` is what folders of the Hugging Face Hub call it in metadata.csv and metadata.jsonl. In CSV a cell that is a
number as JSON writes them (`2021`, not `007`) is one, and `true` and `false` are flags; all else is text.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

from glyphseek.cli.console import err
from glyphseek.errors import InputError
from glyphseek.metadata import Metadata, MetadataValue

_NAME = "file_name"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FLAGS = {"true": True, "false": False}
_Entries = Iterator[tuple[str, object, object]]
"""Where in the file, the photo's path, and what is said of it."""


def read_metadata(file: Path) -> dict[str, Metadata]:
    """Return what a file says of photos, by name. Raises InputError naming the file, the place in it and the reason."""
    readers: dict[str, Callable[[str], _Entries]] = {".json": _read_json, ".jsonl": _read_jsonl, ".csv": _read_csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"metadata is read from {', '.join(readers)}, not from {file.name!r}")
    found: dict[str, Metadata] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
        for place, name, values in reader(text):
            _add(found, place, name, values)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file}: {error}") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return found


def print_unknown(metadata: Mapping[str, Metadata], names: Container[str]) -> None:
    """Say on standard error which names of the metadata no photo has: a path may be misspelt."""
    unknown = [name for name in metadata if name not in names]
    if unknown:
        err.print(f"metadata of {len(unknown)} names that no photo has, for example {unknown[0]}", markup=False)


def _add(found: dict[str, Metadata], place: str, name: object, values: object) -> None:
    if not isinstance(name, str) or not name:
        raise InputError(f"{place}: no {_NAME}")
    if not isinstance(values, dict):
        raise InputError(f"{place}: what is said of {name!r} is no object")
    normal = str(PurePosixPath(name))
    if normal in found:
        raise InputError(f"{place}: {normal!r} is there twice")
    try:
        found[normal] = Metadata(cast("Mapping[str, MetadataValue]", values))
    except InputError as error:
        raise InputError(f"{place}: {normal!r}: {error}") from error


def _read_json(text: str) -> _Entries:
    entries = json.loads(text)
    if not isinstance(entries, dict):
        raise InputError("it is no object of paths and what is said of them")
    for number, (name, values) in enumerate(cast("dict[str, Any]", entries).items(), 1):
        yield f"entry {number}", name, values


def _read_jsonl(text: str) -> _Entries:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"line {number}: it is no object")
        values = cast("dict[str, Any]", row)
        yield f"line {number}", values.pop(_NAME, None), values


def _read_csv(text: str) -> _Entries:
    rows = csv.DictReader(text.splitlines(), strict=True)
    if _NAME not in (rows.fieldnames or ()):
        raise InputError(f"its first line has no column {_NAME!r}")
    for row in rows:
        place = f"line {rows.line_num}"
        if None in row or None in row.values():
            raise InputError(f"{place}: it has not as many cells as the first line")
        yield place, row.pop(_NAME), {key: _read_cell(cell) for key, cell in row.items() if cell}


def _read_cell(cell: str) -> MetadataValue:
    if cell in _FLAGS:
        return _FLAGS[cell]
    return float(cell) if _NUMBER.fullmatch(cell) else cell
