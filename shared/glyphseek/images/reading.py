"""Opening a photo as a person sees it: upright, opaque, eight bits of red, green and blue."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from glyphseek.errors import ImageTooLarge, ImageUnreadable, ImageUnsupported
from glyphseek.images.files import ImageLimits, check_size, read_file
from glyphseek.images.formats import HEAD_BYTES, READABLE_FORMATS, sniff_format
from glyphseek.images.jpegs import decode_sound_jpeg
from glyphseek.images.pixels import to_rgb
from glyphseek.types import RgbImage

# The classes are called directly because Image.open compares with a bound that is global to the process.
_OPENERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
# What Pillow's decoders are known to raise on damaged bytes.
_DECODER_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A decoded photo. `width` and `height` are those of the displayed image, which `pixels` may be a reduction of."""

    pixels: RgbImage
    width: int
    height: int


def read_image(source: Path | bytes, *, limits: ImageLimits = _DEFAULT_LIMITS) -> RgbImage:
    """Return the photo in a file, or in the bytes of one, at full size; raises what `decode_image` raises."""
    data = source if isinstance(source, bytes) else read_file(source, limits=limits).data
    return decode_image(data, limits=limits).pixels


def decode_image(data: bytes, *, limits: ImageLimits = _DEFAULT_LIMITS, longer_side: int | None = None) -> Photo:
    """Return the photo that `data` holds, first frame only, EXIF orientation applied, transparency on white.

    longer_side: how many pixels the caller needs. A JPEG of at least twice that is decoded to a half, quarter or
    eighth, never below it, several times faster; boxes stay right as they are fractions. Safe in several threads.

    Raises ImageTooLarge before decoding, ImageUnsupported (not an image, a format or colour space that is not read, too
    small to hold a word) or ImageUnreadable (empty, truncated, corrupt).
    """
    image_format = _check_format(data, limits)
    with _translated(image_format), _OPENERS[image_format](BytesIO(data)) as image:
        _check_pixels(image.size, limits)
        width, height = image.size
        if longer_side is not None and image_format == "JPEG":
            image.draft(None, _draft_size(image.size, longer_side))
        if image_format == "JPEG" and _is_plain(image, (width, height)):
            pixels = decode_sound_jpeg(data)
            if pixels is not None:
                return Photo(pixels=pixels, width=width, height=height)
        image.load()
        # A TIFF turns itself while loading; the draft, if any, has the sides of the reduced image.
        was_turned = image_format == "TIFF" and _is_sideways(image.size, (width, height))
        orientation = _orientation(image)
        pixels = to_rgb(_turned(image, orientation))
    if was_turned or orientation in _SIDEWAYS:
        width, height = height, width
    return Photo(pixels=pixels, width=width, height=height)


def _check_format(data: bytes, limits: ImageLimits) -> str:
    check_size(len(data), limits)
    if not data:
        raise ImageUnreadable("the file is empty (0 bytes)")
    image_format = sniff_format(data[:HEAD_BYTES])
    if image_format is None:
        raise ImageUnsupported(f"not an image: it begins with {data[:8]!r}")
    if image_format not in READABLE_FORMATS:
        raise ImageUnsupported(f"{image_format} is not read; readable are {', '.join(sorted(READABLE_FORMATS))}")
    return image_format


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{width} x {height} = {width * height} pixels; the limit is {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise ImageUnsupported(f"{width} x {height} pixels; each side must have at least {limits.min_side}")


@contextmanager
def _translated(image_format: str) -> Generator[None]:
    try:
        yield
    except (ImageTooLarge, ImageUnsupported):
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"refused as a decompression bomb: {error}") from error
    except _DECODER_ERRORS as error:
        raise ImageUnreadable(f"damaged {image_format}: {error or type(error).__name__}") from error


def _draft_size(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    scale = min(1.0, longer_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _is_plain(image: Image.Image, announced: tuple[int, int]) -> bool:
    """Tell whether the picture is wanted as it lies in the file: whole, in colour, upright."""
    return image.size == announced and image.mode == "RGB" and _orientation(image) == 1


def _is_sideways(loaded: tuple[int, int], announced: tuple[int, int]) -> bool:
    return loaded != announced and loaded == announced[::-1]


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 when there is none or the EXIF block is damaged: the picture itself is fine."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(_TURNS[orientation])
