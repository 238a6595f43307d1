"""What the engine read, kept in one JSON file, so that a second evaluation reads no photo again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict, cast

from glyphseek.errors import ImageError, InputError, StoreError
from glyphseek.models.ocr.reader import ENGINE, OcrLine
from glyphseek.types import RgbImage

SAVE_EVERY_IMAGES = 20


class LineReader(Protocol):
    """Anything that reads the lines of an image."""

    def read(self, image: RgbImage) -> list[OcrLine]:
        """Return the lines read in `image`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The lines of every image by its name, and how many images were read just now, in how many seconds.

    `seconds` is the time spent inside the engine; it leaves out decoding and saving. `failed` gives the reason for
    each image that could not be decoded; such an image has no lines, and is tried again the next time.
    """

    lines: dict[str, list[OcrLine]]
    read_now: int
    seconds: float
    failed: dict[str, str]


class ReadingCache:
    """The lines of images by name, in the JSON file at `path`; an entry holds while its file keeps its size in bytes.

    A file written by another engine, or for another longer side, is replaced by the first `save`. Raises InputError
    when the file is something else.
    """

    def __init__(self, path: Path, *, longer_side: int) -> None:
        self._path = path
        self._document = _load(path, longer_side)

    def get(self, name: str, image: Path) -> list[OcrLine] | None:
        """Return the lines of an image, or None when they are not known or its file has changed."""
        entry = self._document["images"].get(name)
        if entry is None or entry["bytes"] != _size(image):
            return None
        return [OcrLine(text=text, confidence=confidence) for text, confidence in entry["lines"]]

    def put(self, name: str, image: Path, lines: Sequence[OcrLine]) -> None:
        """Remember the lines of an image; `save` makes it last."""
        rows = [(line.text, line.confidence) for line in lines]
        self._document["images"][name] = {"bytes": _size(image), "lines": rows}

    def save(self) -> None:
        """Write the file whole or not at all. Raises StoreError when that fails."""
        partial = self._path.with_name(self._path.name + ".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self._document, ensure_ascii=False), encoding="utf-8")
            os.replace(partial, self._path)
        except OSError as cause:
            raise StoreError(f"the readings cannot be saved to {self._path}: {cause}") from cause


def read_all(
    images: Mapping[str, Path],
    load: Callable[[Path], RgbImage],
    start_reader: Callable[[], LineReader],
    cache: ReadingCache,
    *,
    on_image: Callable[[int, int], None] | None = None,
) -> Readings:
    """Return the lines of all `images` (name to file), reading only those that `cache` does not hold.

    The reader is started only if an image must be read; it must have the longer side of the cache. The cache is
    saved every 20 images, so that a run that was stopped goes on where it was. `on_image(done, total)` is called
    after each image that was read. `load` may raise ImageError, which is recorded; the run goes on.
    """
    missing = [name for name, path in images.items() if cache.get(name, path) is None]
    failed: dict[str, str] = {}
    seconds = 0.0
    if missing:
        reader = start_reader()
        for done, name in enumerate(missing, start=1):
            try:
                seconds += _read(name, images[name], load, reader, cache)
            except ImageError as error:
                failed[name] = str(error)
            if done % SAVE_EVERY_IMAGES == 0 or done == len(missing):
                cache.save()
            if on_image is not None:
                on_image(done, len(missing))
    lines = {name: cache.get(name, path) or [] for name, path in images.items()}
    return Readings(lines=lines, read_now=len(missing) - len(failed), seconds=seconds, failed=failed)


def _read(name: str, path: Path, load: Callable[[Path], RgbImage], reader: LineReader, cache: ReadingCache) -> float:
    """Put the lines of one image into the cache and return the seconds that the engine took."""
    image = load(path)
    began = time.perf_counter()
    lines = reader.read(image)
    seconds = time.perf_counter() - began
    cache.put(name, path, lines)
    return seconds


class _Entry(TypedDict):
    bytes: int | None
    lines: list[tuple[str, float]]


class _Document(TypedDict):
    engine: str
    longer_side: int
    images: dict[str, _Entry]


def _load(path: Path, longer_side: int) -> _Document:
    fresh: _Document = {"engine": ENGINE, "longer_side": longer_side, "images": {}}
    if not path.exists():
        return fresh
    try:
        stored = cast(_Document, json.loads(path.read_text(encoding="utf-8")))
        made_by, images = (stored["engine"], stored["longer_side"]), stored["images"]
    except (ValueError, KeyError, TypeError) as cause:
        raise InputError(f"{path} is not a cache of readings; name another file or remove it") from cause
    return {**fresh, "images": images} if made_by == (ENGINE, longer_side) else fresh


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
