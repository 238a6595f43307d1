"""Real photos with annotated words as training data: read from the project's gallery layout, split once and for all."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import ImageUnreadable
from glyphseek.models.tdsl.outlines import ALONG
from glyphseek.models.tdsl.settings import ALPHABET
from glyphseek.queries import normalize
from glyphseek.types import RgbImage

ILLEGIBLE = "###"
HELD_OUT_PHOTOS = 5
"""A photo is never trained on when the checksum of its file name can be divided by this: about one in five."""
HELD_OUT_WORDS = 20
"""A word of four characters or more is never trained on when its checksum can be divided by this: one in twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedWord:
    """One region: its normalised word, or None where it cannot be read or spelt, and its box in pixels (4,).

    `letter_ends` say where each letter of the word ends, as shares of the box's width, `outline_62` how it runs in the
    box, in pixels (`models/tdsl/outlines.py`); None where that is not known.
    """

    word: str | None
    box_4: NDArray[np.float32]
    letter_ends: NDArray[np.float32] | None = None
    outline_62: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedPhoto:
    """A photo on disk and every text region in it."""

    path: Path
    words: tuple[AnnotatedWord, ...]


def spell(transcription: str) -> str | None:
    """Return the transcription as the model spells it; None for illegible, empty, foreign or several words."""
    word = normalize(transcription)
    return word if transcription != ILLEGIBLE and word and set(word) <= set(ALPHABET) else None


def is_held_out_word(word: str) -> bool:
    """Return whether no model of this project is trained on the word: the test of reading unseen words."""
    return len(word) >= 4 and zlib.crc32(word.encode()) % HELD_OUT_WORDS == 0


def is_held_out_photo(path: Path) -> bool:
    """Return whether the photo belongs to the held-out fold."""
    return zlib.crc32(path.name.encode()) % HELD_OUT_PHOTOS == 0


def annotate(transcription: str, polygon_K2: NDArray[np.float32]) -> AnnotatedWord:
    """Return the region as the trainer uses it: spelt, the axis-aligned box around its polygon, and its outline."""
    return AnnotatedWord(
        word=spell(transcription),
        box_4=np.concatenate([polygon_K2.min(0), polygon_K2.max(0)]).astype(np.float32),
        outline_62=outline(polygon_K2),
    )


def outline(polygon_K2: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the outline (6, 2) of a polygon whose points run along the top of a word, then back along its bottom.

    As many above as below, from the word's first letter on; None for a polygon of three or an odd number of points.
    """
    half, odd = divmod(len(polygon_K2), 2)
    if odd or half < 2:
        return None
    return np.concatenate([three_points(polygon_K2[:half]), three_points(polygon_K2[half:][::-1])]).astype(np.float32)


def three_points(edge_K2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the start, middle and end (3, 2) of a line through points."""
    way = np.append(0, np.linalg.norm(np.diff(edge_K2, axis=0), axis=1).cumsum())
    return np.stack([np.interp(np.array(ALONG) * way[-1], way, edge_K2[:, axis]) for axis in (0, 1)], axis=1)


def read_annotated_photos(folder: Path, *, held_out: bool) -> list[AnnotatedPhoto]:
    """Return the photos of one fold of a gallery folder (images/ and boxes.jsonl)."""
    photos: list[AnnotatedPhoto] = []
    for line in (folder / "boxes.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = folder / row["image"]
        if is_held_out_photo(path) is held_out:
            words = tuple(annotate(item["t"], np.asarray(item["poly"], np.float32)) for item in row["items"])
            photos.append(AnnotatedPhoto(path=path, words=words))
    return photos


def read_pixels(path: Path) -> RgbImage:
    """Return the photo's pixels, turned upright. Raises ImageUnreadable when it is missing or cannot be decoded."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageUnreadable(f"{path} is missing or cannot be decoded")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
