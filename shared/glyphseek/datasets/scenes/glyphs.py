"""Words drawn flat: letters as alpha masks, with the ink box of every word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Mask = NDArray[np.uint8]
"""(height, width) coverage, 0 empty to 255 full."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """How letters are set, in ems: gap added between letters and between words, random rise of single letters."""

    letters: float = 0.0
    words: float = 0.0
    bounce: float = 0.0
    downwards: bool = False
    """Letters below each other instead of beside each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One drawn word: its mask cut to the ink, where the ink starts from the pen, and how far the pen moves on."""

    mask: Mask
    left: int
    top: int
    advance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Words drawn together: one mask and each word's ink box in mask pixels, in the order given."""

    mask: Mask
    boxes: tuple[Box, ...]


def draw_word(font: ImageFont.FreeTypeFont, text: str, spacing: Spacing, rng: np.random.Generator) -> Piece:
    """Return `text` drawn with the pen at (0, 0) on the baseline; a text without ink has an empty (0, 0) mask."""
    if spacing.downwards:
        return _draw_downwards(font, text)
    margin = int(font.size * 0.6) + 2
    ascent, descent = font.getmetrics()
    loose = spacing.letters != 0.0 or spacing.bounce != 0.0
    advance = font.getlength(text) + spacing.letters * font.size * max(0, len(text) - 1)
    canvas = Image.new("L", (int(advance) + 2 * margin, ascent + descent + 2 * margin))
    pen = ImageDraw.Draw(canvas)
    if not loose:
        pen.text((margin, margin + ascent), text, fill=255, font=font, anchor="ls")
    else:
        x = float(margin)
        for letter in text:
            rise = spacing.bounce * font.size * (2 * rng.random() - 1) if spacing.bounce else 0.0
            pen.text((x, margin + ascent + rise), letter, fill=255, font=font, anchor="ls")
            x += font.getlength(letter) + spacing.letters * font.size
    return _cut(canvas, margin, margin + ascent, advance)


def draw_block(
    font: ImageFont.FreeTypeFont,
    lines: Sequence[Sequence[str]],
    spacing: Spacing,
    leading: float,
    align: float,
    rng: np.random.Generator,
) -> Block:
    """Return lines of words below each other, `leading` ems apart; `align` is 0 left, 0.5 centred, 1 right."""
    gap = font.getlength(" ") + spacing.words * font.size + spacing.letters * font.size
    placed: list[tuple[Piece, float, float]] = []
    for row, words in enumerate(lines):
        pieces = [draw_word(font, word, spacing, rng) for word in words]
        x = -align * (sum(piece.advance for piece in pieces) + gap * (len(pieces) - 1))
        for piece in pieces:
            placed.append((piece, x + piece.left, row * leading * font.size + piece.top))
            x += piece.advance + gap
    return _assemble(placed)


def letter_height(wide: float, tall: float, text: str) -> float:
    """Return the height of the letters of a word of that size; stacked letters have a share of it."""
    return tall / len(text) if len(text) >= 3 and tall > 1.5 * wide else tall


def _assemble(placed: Sequence[tuple[Piece, float, float]], margin: int = 2) -> Block:
    left = int(min(x for _, x, _ in placed)) - margin
    top = int(min(y for _, _, y in placed)) - margin
    right = int(max(x + piece.mask.shape[1] for piece, x, _ in placed)) + margin + 1
    bottom = int(max(y + piece.mask.shape[0] for piece, _, y in placed)) + margin + 1
    mask = np.zeros((bottom - top, right - left), np.uint8)
    boxes: list[Box] = []
    for piece, x, y in placed:
        rows, columns = piece.mask.shape
        column, row = int(x) - left, int(y) - top
        window = mask[row : row + rows, column : column + columns]
        np.maximum(window, piece.mask, out=window)
        boxes.append((float(column), float(row), float(column + columns), float(row + rows)))
    return Block(mask=mask, boxes=tuple(boxes))


def _draw_downwards(font: ImageFont.FreeTypeFont, text: str) -> Piece:
    """Return the letters of `text` centred below each other."""
    step = font.size * 1.02
    margin = int(font.size)
    canvas = Image.new("L", (int(font.size * 1.6) + 2 * margin, int(step * len(text)) + 2 * margin))
    pen = ImageDraw.Draw(canvas)
    for place, letter in enumerate(text):
        pen.text((canvas.width / 2, margin + place * step), letter, fill=255, font=font, anchor="ma")
    return _cut(canvas, canvas.width // 2, margin, step)


def _cut(canvas: Image.Image, pen_x: int, pen_y: int, advance: float) -> Piece:
    box = canvas.getbbox()
    if box is None:
        return Piece(mask=np.zeros((0, 0), np.uint8), left=0, top=0, advance=advance)
    return Piece(mask=np.asarray(canvas.crop(box)), left=box[0] - pen_x, top=box[1] - pen_y, advance=advance)
