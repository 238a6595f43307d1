"""The rows of a search table in files that only grow: a copy that may be lost, and says so when it is not sound.

    rows.f32      R x D float32, as they were given
    codes.i8      R x D bytes, and
    measures.f32  R x 3 float32: the same rows as bytes (see RowCodes)
    entries       a header, then one record for each writing of an image, in the order of its rows

Rows count from the moment their records are there, so a writer that dies leaves a tail that the next owner cuts off.
Records carry the checksum of the bytes of their rows and one of themselves: what a crash of the machine or a bad disk
changed is told from the rest. `rows.f32` is not read through on opening: a search checks each row that it uses.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from glyphseek.errors import StoreError, StoreFull, StoreUnavailable
from glyphseek.types import FloatArray
from glyphseek.vectors.codes import RowCodes, encode_rows

_MAGIC = b"GLYPHSEEKROWS001"
_HEADER = np.dtype([("magic", "S16"), ("model", "S64"), ("width", "<u4")])
_RECORD = np.dtype([("key", "<i8"), ("stamp", "<u8"), ("count", "<u4"), ("codes_crc", "<u4"), ("crc", "<u4")])
_CHECKED = _RECORD.itemsize - 4
_ROWS, _CODES, _MEASURES, _ENTRIES = "rows.f32", "codes.i8", "measures.f32", "entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One writing of an image: its key, a number that stands for what was written, and how many rows it has."""

    key: int
    stamp: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What files hold, rows in the order of the entries. `is_sound` says of each entry whether its bytes are."""

    entries: list[Entry]
    is_sound: list[bool]
    codes: RowCodes


class ScanFiles:
    """The four files of one folder, open for one writer. Raises StoreFull or StoreUnavailable where writing fails."""

    def __init__(self, folder: Path, *, model: str, width: int) -> None:
        """Open the files, or make empty ones where there are none, or none of this model and width."""
        self.folder = folder
        self._model = model
        self._width = width
        self._row_bytes = {_ROWS: 4 * width, _CODES: width, _MEASURES: 12}
        self._entry_count = 0
        self._row_count = 0
        header = np.array([(_MAGIC, model.encode(), width)], dtype=_HEADER).tobytes()
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._files = {name: _open(folder / name) for name in (*self._row_bytes, _ENTRIES)}
            if os.pread(self._files[_ENTRIES], len(header), 0) != header:
                self._cut()
                os.ftruncate(self._files[_ENTRIES], 0)
                _write(self._files[_ENTRIES], header, 0)

    def reopen(self, folder: Path) -> ScanFiles:
        """Return the files of another folder for the same model and width."""
        return ScanFiles(folder, model=self._model, width=self._width)

    def read(self) -> Kept:
        """Return everything that is there and cut off what is not whole; to be called once, before the first append."""
        with _translated(self.folder):
            records = self._read_records()
            self._entry_count, self._row_count = len(records), int(records["count"].sum())
            self._cut()
            codes_RD = np.fromfile(self.folder / _CODES, dtype=np.int8).reshape(-1, self._width)
            measures_R3 = np.fromfile(self.folder / _MEASURES, dtype=np.float32).reshape(-1, 3)
        codes = RowCodes(codes_RD=codes_RD, measures_R3=measures_R3)
        return Kept(
            entries=[
                Entry(key=key, stamp=stamp, count=count)
                for key, stamp, count in zip(
                    records["key"].tolist(), records["stamp"].tolist(), records["count"].tolist(), strict=True
                )
            ],
            is_sound=[
                crc == found
                for crc, found in zip(
                    records["codes_crc"].tolist(), _checksums(codes, records["count"].tolist()), strict=True
                )
            ],
            codes=codes,
        )

    def append(self, entries: Sequence[Entry], vectors_RD: FloatArray) -> RowCodes:
        """Write the rows of all entries, one after another, and return them as bytes. Nothing is left when it fails."""
        codes = encode_rows(vectors_RD)
        contents = {_ROWS: vectors_RD, _CODES: codes.codes_RD, _MEASURES: codes.measures_R3}
        records = self._make_records(entries, codes)
        try:
            with _translated(self.folder):
                for name, array in contents.items():
                    _write(self._files[name], array.tobytes(), self._row_count * self._row_bytes[name])
                _write(self._files[_ENTRIES], records.tobytes(), self._end_of_entries())
        except StoreError:
            self._cut()
            raise
        self._entry_count += len(entries)
        self._row_count += len(vectors_RD)
        return codes

    def forget(self, entries: Sequence[Entry]) -> None:
        """Cut off the entries that were appended last."""
        self._entry_count -= len(entries)
        self._row_count -= sum(entry.count for entry in entries)
        self._cut()

    def map_rows(self) -> FloatArray:
        """Return all rows as they were given, (R, D), read from the disk where they are used."""
        if self._row_count == 0:
            return np.empty((0, self._width), dtype=np.float32)
        return np.memmap(self.folder / _ROWS, dtype=np.float32, mode="r", shape=(self._row_count, self._width))

    def close(self) -> None:
        """Close the files; rows that are mapped stay readable."""
        for descriptor in self._files.values():
            os.close(descriptor)

    def _read_records(self) -> NDArray[np.void]:
        """Return the records up to the first that is damaged, or whose rows are not all there."""
        content = os.pread(self._files[_ENTRIES], os.fstat(self._files[_ENTRIES]).st_size, 0)[_HEADER.itemsize :]
        records = np.frombuffer(content[: len(content) // _RECORD.itemsize * _RECORD.itemsize], dtype=_RECORD)
        rows = min(os.fstat(self._files[name]).st_size // size for name, size in self._row_bytes.items())
        is_whole = np.cumsum(records["count"].astype(np.int64)) <= rows
        is_whole &= np.array([_checksum(record) for record in records], dtype=np.uint32) == records["crc"]
        return records[: int(np.argmin(is_whole))] if not is_whole.all() else records

    def _make_records(self, entries: Sequence[Entry], codes: RowCodes) -> NDArray[np.void]:
        checksums = _checksums(codes, [entry.count for entry in entries])
        records = np.array(
            [(entry.key, entry.stamp, entry.count, crc, 0) for entry, crc in zip(entries, checksums, strict=True)],
            dtype=_RECORD,
        )
        records["crc"] = [_checksum(record) for record in records]
        return records

    def _end_of_entries(self) -> int:
        return _HEADER.itemsize + self._entry_count * _RECORD.itemsize

    def _cut(self) -> None:
        os.ftruncate(self._files[_ENTRIES], self._end_of_entries())
        for name, size in self._row_bytes.items():
            os.ftruncate(self._files[name], self._row_count * size)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _write(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _checksum(record: np.void) -> int:
    return zlib_ng.crc32(record.tobytes()[:_CHECKED])


def _checksums(codes: RowCodes, counts: Sequence[int]) -> list[int]:
    """Return for each image the checksum of its bytes and measures."""
    ends = np.cumsum([0, *counts]).tolist()
    return [
        zlib_ng.crc32(codes.measures_R3[start:end].tobytes(), zlib_ng.crc32(codes.codes_RD[start:end].tobytes()))
        for start, end in pairwise(ends)
    ]


@contextmanager
def _translated(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"no space left to write the search table in {folder}") from error
        raise StoreUnavailable(f"cannot use the search table in {folder}: {error.strerror}") from error
