"""What travels between the workers of a job, as Arrow tables: names, then open photos, then vectors of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypedDict, cast

import numpy as np
import pyarrow as pa

from glyphseek.indexing import OpenedPhoto, Skip, StoredImage
from glyphseek.types import ImageRecord
from glyphseek_indexer.committing import Outcome
from glyphseek_indexer.reading import Reading
from glyphseek_indexer.retrying import Again

NAME = "name"
_IMAGE = [
    (NAME, pa.large_string()),
    ("kind", pa.string()),
    ("message", pa.string()),
    ("again", pa.string()),
    ("read_s", pa.float64()),
    ("image_id", pa.string()),
    ("content_hash", pa.string()),
    ("width", pa.int64()),
    ("height", pa.int64()),
    ("rows", pa.int64()),
    ("columns", pa.int64()),
]
_READINGS = pa.schema([*_IMAGE, ("pixels", pa.large_binary())])
_OUTCOMES = pa.schema(
    [
        *_IMAGE,
        ("vectors", pa.large_binary()),
        ("instance_count", pa.int64()),
        ("reused", pa.bool_()),
        ("encode_s", pa.float64()),
    ]
)


class Table(Protocol):
    """What is used of an Arrow table, which has no types of its own."""

    def to_pylist(self) -> list[dict[str, object]]:
        """Return the rows, by column."""
        ...


class _Row(TypedDict):
    """One row of a table as it is read; only `name` is set where there is no image. rows, columns: of its array."""

    name: str
    kind: str | None
    message: str | None
    again: str
    read_s: float
    image_id: str | None
    content_hash: str
    width: int
    height: int
    rows: int
    columns: int
    pixels: bytes
    vectors: bytes
    instance_count: int
    reused: bool
    encode_s: float


def names_to_table(names: Sequence[str]) -> Table:
    """Return names as the table that a job begins with."""
    return _as_table(pa.table({NAME: pa.array(names, pa.large_string())}))


def names_of(table: Table) -> list[str]:
    """Return the names of whichever table."""
    return [row["name"] for row in _rows_of(table)]


def readings_to_table(readings: Sequence[Reading]) -> Table:
    """Return what reading gave as a table."""
    return _as_table(pa.Table.from_pylist([_write_reading(one) for one in readings], schema=_READINGS))


def readings_of(table: Table) -> list[Reading]:
    """Return what reading gave."""
    return [_read_reading(row) for row in _rows_of(table)]


def outcomes_to_table(outcomes: Sequence[Outcome]) -> Table:
    """Return what became of photos as a table."""
    return _as_table(pa.Table.from_pylist([_write_outcome(one) for one in outcomes], schema=_OUTCOMES))


def outcomes_of(table: Table) -> list[Outcome]:
    """Return what became of photos."""
    return [_read_outcome(row) for row in _rows_of(table)]


def _write_reading(reading: Reading) -> dict[str, object]:
    row = _begin(reading)
    if reading.photo is not None:
        height, width, _ = reading.photo.pixels.shape
        row |= dict[str, object](rows=height, columns=width, pixels=reading.photo.pixels.tobytes())
        row |= _describe(reading.photo.record)
    return row


def _read_reading(row: _Row) -> Reading:
    photo = None
    if row["image_id"] is not None:
        pixels = np.frombuffer(row["pixels"], np.uint8).reshape(row["rows"], row["columns"], 3)
        photo = OpenedPhoto(record=_read_record(row, 0), pixels=pixels)
    return Reading(name=row["name"], photo=photo, skip=_read_skip(row), again=Again(row["again"]), read_s=row["read_s"])


def _write_outcome(outcome: Outcome) -> dict[str, object]:
    row = _begin(outcome) | {"encode_s": outcome.encode_s}
    if outcome.stored is not None:
        count, width = outcome.stored.vectors.shape
        vectors = outcome.stored.vectors.astype(np.float32, copy=False).tobytes()
        instances = outcome.stored.record.instance_count
        row |= dict[str, object](rows=count, columns=width, vectors=vectors, instance_count=instances)
        row |= _describe(outcome.stored.record) | dict[str, object](reused=outcome.stored.reused)
    return row


def _read_outcome(row: _Row) -> Outcome:
    stored = None
    if row["image_id"] is not None:
        vectors = np.frombuffer(row["vectors"], np.float32).reshape(row["rows"], row["columns"])
        record = _read_record(row, row["instance_count"])
        stored = StoredImage(record=record, vectors=vectors, reused=row["reused"])
    return Outcome(
        name=row["name"],
        stored=stored,
        skip=_read_skip(row),
        again=Again(row["again"]),
        read_s=row["read_s"],
        encode_s=row["encode_s"],
    )


def _begin(one: Reading | Outcome) -> dict[str, object]:
    why = {} if one.skip is None else {"kind": one.skip.kind, "message": one.skip.message}
    return {NAME: one.name, "again": one.again.value, "read_s": one.read_s, **why}


def _describe(record: ImageRecord) -> dict[str, object]:
    return dict[str, object](
        image_id=record.image_id, content_hash=record.content_hash, width=record.width, height=record.height
    )


def _read_record(row: _Row, instance_count: int) -> ImageRecord:
    return ImageRecord(
        image_id=str(row["image_id"]),
        content_hash=row["content_hash"],
        names=(),
        width=row["width"],
        height=row["height"],
        instance_count=instance_count,
    )


def _read_skip(row: _Row) -> Skip | None:
    kind = row["kind"]
    return None if kind is None else Skip(name=row["name"], kind=kind, message=row["message"] or "")


def _as_table(table: object) -> Table:
    return cast(Table, table)


def _rows_of(table: Table) -> Iterator[_Row]:
    yield from cast("list[_Row]", table.to_pylist())
