"""One picture of the hits of a search: a grid of photos with the matched words labelled, and boxed or lit up."""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphseek.errors import StoreFull, StoreUnavailable
from glyphseek.ranking import TermMatch, share_of_highest
from glyphseek.types import FloatArray, RgbImage

# Okabe-Ito's light ones first, told apart by people with any colour vision; dark letters are legible on all of them.
# One for each different term, in the order in which they appear.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#FF8A5B", "#A6D854")
_PAPER, _INK, _PALE, _DARK = "#FFFFFF", "#1A1A1A", "#6B6B6B", "#E4E4E4"
_LARGE, _MEDIUM, _SMALL = 30, 22, 18  # letter sizes in pixels: readable when 1600 pixels fill a laptop's screen
_GAP, _LINE, _PADDING = 16, 4, 3
_CELL_SHAPE = 0.75  # height / width of the place of a photo
_FADED = 0.75  # share of grey in a photo under attention, so that its own colours are not taken for heat
_DIMMED = 0.6  # brightness of what is left, so that heat shows on white signs too
_HOTTEST = 0.75  # share of the term's colour where its attention is highest: what is written there stays legible
_SPREAD = 0.6  # attention is sharp; below 1, this power shows its slopes

_Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One hit to draw. Without an image (it cannot be opened any more) its place says so; matches without a box are
    named under the photo. `attention` has for terms of the matches a map (H, W) that covers the photo evenly: the photo
    is lit up by it in the term's colour, and boxes are not drawn.
    """

    name: str
    score: float
    matches: tuple[TermMatch, ...]
    image: RgbImage | None
    attention: Mapping[str, FloatArray] | None = None


def draw_hits(panels: Sequence[Panel], *, title: str, width: int = 1600) -> RgbImage:
    """Return a picture `width` pixels wide: the title, then the panels in rows, best first, numbered from 1.

    Up to four panels stand two in a row, up to nine three, more four. Photos keep their shape.
    """
    columns = _count_columns(len(panels))
    cell_width = (width - _GAP * (columns + 1)) // columns
    cell_height = int(cell_width * _CELL_SHAPE)
    row_height = cell_height + _GAP + 2 * (_MEDIUM + _PADDING) + _GAP
    top = _LARGE + 3 * _GAP
    picture = Image.new("RGB", (width, top + row_height * -(-len(panels) // columns)), _PAPER)
    draw = ImageDraw.Draw(picture)
    _write(draw, (_GAP, _GAP), title, _LARGE, _INK, width - 2 * _GAP)
    colours = _choose_colours(panels)
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        corner = _GAP + column * (cell_width + _GAP), top + row * row_height
        picture.paste(_draw_photo(panel, colours, cell_width, cell_height), corner)
        _write_caption(draw, panel, place + 1, (corner[0], corner[1] + cell_height + _PADDING), cell_width)
    return np.asarray(picture)


def encode_png(picture: RgbImage) -> bytes:
    """Return the picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def save_picture(picture: RgbImage, path: Path) -> None:
    """Write the picture as PNG, whatever the name ends in. Raises StoreFull or StoreUnavailable with the path."""
    try:
        path.write_bytes(encode_png(picture))
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
        raise kind(f"cannot write the picture {path}: {error.strerror}") from error


def _count_columns(panels: int) -> int:
    return 1 if panels <= 1 else 2 if panels <= 4 else 3 if panels <= 9 else 4


def _choose_colours(panels: Sequence[Panel]) -> dict[str, str]:
    terms = dict.fromkeys(match.term for panel in panels for match in panel.matches)
    return {term: _COLOURS[place % len(_COLOURS)] for place, term in enumerate(terms)}


def _draw_photo(panel: Panel, colours: dict[str, str], width: int, height: int) -> Image.Image:
    cell = Image.new("RGB", (width, height), _DARK)
    draw = ImageDraw.Draw(cell)
    if panel.image is None:
        _write(draw, (_GAP, height // 2 - _MEDIUM), "the image cannot be opened", _MEDIUM, _PALE, width - 2 * _GAP)
        return cell
    left, top, right, bottom = _fit(panel.image, width, height)
    photo = Image.fromarray(panel.image).resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    cell.paste(photo if panel.attention is None else _light_up(photo, panel.attention, colours), (left, top))
    boxes = [
        (match, _to_pixels(match.box, (left, top, right, bottom))) for match in panel.matches if match.box is not None
    ]
    for match, box in boxes if panel.attention is None else ():
        _outline(draw, box, colours[match.term])
    taken = [box for _, box in boxes]
    for match, box in boxes:
        taken.append(_label(draw, match, box, colours[match.term], taken, (width, height)))
    return cell


def _light_up(photo: Image.Image, attention: Mapping[str, FloatArray], colours: Mapping[str, str]) -> Image.Image:
    """Return the photo, faded, with the colour of each term laid over it as strongly as its attention is high."""
    faded = Image.blend(photo, photo.convert("L").convert("RGB"), _FADED)
    lit = Image.blend(Image.new("RGB", photo.size), faded, _DIMMED)
    for term, attention_HW in attention.items():
        if term in colours:
            heat = Image.fromarray(share_of_highest(attention_HW)).resize(photo.size, Image.Resampling.BICUBIC)
            opacity = np.clip(np.asarray(heat), 0.0, 1.0) ** _SPREAD * (255 * _HOTTEST)
            lit.paste(Image.new("RGB", photo.size, colours[term]), mask=Image.fromarray(opacity.astype(np.uint8)))
    return lit


def _fit(image: RgbImage, width: int, height: int) -> _Rectangle:
    scale = min(width / image.shape[1], height / image.shape[0])
    wide, high = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high


def _to_pixels(box: tuple[float, float, float, float], photo: _Rectangle) -> _Rectangle:
    left, top, right, bottom = photo
    wide, high = right - left - 1, bottom - top - 1
    x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in box)
    return (
        left + round(x0 * wide),
        top + round(y0 * high),
        left + round(max(x0, x1) * wide),
        top + round(max(y0, y1) * high),
    )


def _outline(draw: ImageDraw.ImageDraw, box: _Rectangle, colour: str) -> None:
    left, top, right, bottom = box
    for grow, line, width in (
        (_LINE, _INK, 1),
        (_LINE - 1, colour, _LINE - 1),
    ):  # a dark rim, so that it shows on any photo
        draw.rectangle((left - grow, top - grow, right + grow, bottom + grow), outline=line, width=width)


def _label(
    draw: ImageDraw.ImageDraw,
    match: TermMatch,
    box: _Rectangle,
    colour: str,
    taken: Sequence[_Rectangle],
    cell: tuple[int, int],
) -> _Rectangle:
    """Write term and similarity where nothing is yet: above the box, below, or else over it; return the place."""
    text = f"{match.term} {match.similarity:.2f}"
    wide = round(draw.textlength(text, font=_font(_SMALL))) + 2 * _PADDING
    high = _SMALL + 2 * _PADDING
    left = max(0, min(box[0] - _LINE, cell[0] - wide))
    tops = (box[1] - _LINE - high, box[3] + _LINE, box[1])
    places = [(left, top, left + wide, top + high) for top in tops if 0 <= top <= cell[1] - high]
    free = [place for place in places if not any(_overlap(place, other) for other in taken if other != box)]
    chosen = (free or places or [(left, 0, left + wide, high)])[0]
    draw.rectangle(chosen, fill=colour, outline=_INK)
    draw.text((chosen[0] + _PADDING, chosen[1] + _PADDING // 2), text, font=_font(_SMALL), fill=_INK)
    return chosen


def _overlap(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _write_caption(draw: ImageDraw.ImageDraw, panel: Panel, number: int, corner: tuple[int, int], width: int) -> None:
    _write(draw, corner, f"{number}.  {panel.score:.2f}  {panel.name}", _MEDIUM, _INK, width)
    unplaced = ", ".join(f"{match.term} {match.similarity:.2f}" for match in panel.matches if match.box is None)
    if unplaced:
        below = corner[0], corner[1] + _MEDIUM + 2 * _PADDING
        _write(draw, below, f"place not known: {unplaced}", _SMALL, _PALE, width)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int, colour: str, width: int) -> None:
    """Write one line; what is too wide loses its middle, as the end of a file name says more than that."""
    font = _font(size)
    printable = "".join(c if c.isprintable() else "?" for c in text)  # names may hold line feeds and stray bytes
    kept = len(printable)
    line = printable
    while draw.textlength(line, font=font) > width and kept > 2:
        kept -= 1
        line = f"{printable[: kept // 2]}…{printable[len(printable) - (kept - kept // 2) :]}"
    draw.text(corner, line, font=font, fill=colour)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu Sans as matplotlib ships it (it has Greek, Cyrillic and more), or Pillow's own Latin font."""
    found = find_spec("matplotlib")
    folder = Path(found.origin).parent if found is not None and found.origin is not None else Path()
    path = folder / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size) if path.exists() else ImageFont.load_default(size)
