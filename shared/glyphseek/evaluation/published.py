"""The figures that papers print, read from `published.json`: none of them was measured here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypedDict, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One gallery with one query list, as papers measure on it; `made_of` says how the queries were chosen."""

    name: str
    gallery: str
    images: int
    queries: int
    made_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """The mAP in percent that `source` prints for `method`, by name of the column; columns it left out are absent."""

    method: str
    source: str
    map_percent: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """All columns in their order, and all rows: oldest paper first."""

    columns: tuple[Column, ...]
    rows: tuple[PublishedRow, ...]


class _ColumnEntry(TypedDict):
    name: str
    gallery: str
    images: int
    queries: int
    made_of: str


class _RowEntry(TypedDict):
    method: str
    source: str
    map_percent: dict[str, float]


class _Document(TypedDict):
    columns: list[_ColumnEntry]
    figures: list[_RowEntry]


@cache
def published_figures() -> Published:
    """Return the papers' figures; the file is read once."""
    text = resources.files("glyphseek.evaluation").joinpath("published.json").read_text(encoding="utf-8")
    document = cast(_Document, json.loads(text))
    return Published(
        columns=tuple(Column(**column) for column in document["columns"]),
        rows=tuple(PublishedRow(**row) for row in document["figures"]),
    )


def comparable_column(name: str, *, images: int, queries: int) -> str | None:
    """Return `name` if it is a column of the papers measured on as many images and queries, else None.

    A gallery of another size, such as a part of a set or another split, compares with no paper.
    """
    for column in published_figures().columns:
        if column.name == name and (column.images, column.queries) == (images, queries):
            return name
    return None
