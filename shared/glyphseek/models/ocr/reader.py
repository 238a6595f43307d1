"""The only home of RapidOCR: from an image to the lines of text that the engine reads in it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from glyphseek.errors import MissingExtra
from glyphseek.types import RgbImage

ENGINE = "rapidocr-onnxruntime 1.4.4, PP-OCRv4 mobile"
"""The engine and its bundled weights; stored beside what it read."""

_Engine = Callable[..., tuple[Sequence[Sequence[object]] | None, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrLine:
    """One line of text as the engine wrote it, and how sure the engine was of it, in [0, 1]."""

    text: str
    confidence: float


class OcrReader:
    """RapidOCR with its own settings, except that nothing is dropped for low confidence.

    `longer_side` is the size in pixels that larger images are shrunk to. `threads` bounds the cores used by each
    network; None leaves it to the runtime. Raises MissingExtra when the engine is not installed.
    """

    def __init__(self, *, longer_side: int = 1024, threads: int | None = None) -> None:
        self.longer_side = longer_side
        self._engine = _start_engine(-1 if threads is None else threads)

    def read(self, image: RgbImage) -> list[OcrLine]:
        """Return the lines read in `image`, from top to bottom; the empty list when there are none."""
        bgr = np.ascontiguousarray(shrink(image, self.longer_side)[:, :, ::-1])
        found, _ = self._engine(bgr)
        return [OcrLine(text=str(row[1]), confidence=float(cast(float, row[2]))) for row in found or ()]


def shrink(image: RgbImage, longer_side: int) -> RgbImage:
    """Return `image` with its longer side at `longer_side` pixels, or the image itself when it is not larger."""
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cast(RgbImage, cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _start_engine(threads: int) -> _Engine:
    try:
        library = importlib.import_module("rapidocr_onnxruntime")
    except ImportError as cause:
        raise MissingExtra("the OCR route needs RapidOCR: pip install 'glyphseek[ocr]'") from cause
    # A text_score of 0 keeps every line; the cut is made later, so that one reading serves every cut.
    return cast(_Engine, library.RapidOCR(text_score=0.0, intra_op_num_threads=threads, inter_op_num_threads=threads))
