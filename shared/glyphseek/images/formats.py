"""What a file is, told from its first bytes and never from its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from glyphseek.images.walking import FoundFile

HEAD_BYTES = 32
"""How many leading bytes `sniff_format` looks at."""

READABLE_FORMATS = frozenset({"JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF"})
"""Formats that `decode_image` reads."""

_IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl",
    ".png", ".psd", ".tif", ".tiff", ".webp",
})  # fmt: skip
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_ISO_BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC",
    b"heis": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF",
}  # fmt: skip


def _is_bmp(head: bytes) -> bool:
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES


_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("JPEG", lambda head: head[:3] == b"\xff\xd8\xff"),
    ("PNG", lambda head: head[:8] == b"\x89PNG\r\n\x1a\n"),
    ("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("TIFF", lambda head: head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}),
    ("GIF", lambda head: head[:6] in {b"GIF87a", b"GIF89a"}),
    ("BMP", _is_bmp),
    ("JPEG 2000", lambda head: head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51"),
    ("JPEG XL", lambda head: head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("Photoshop", lambda head: head[:4] == b"8BPS"),
)


def sniff_format(head: bytes) -> str | None:
    """Return the image format that the first `HEAD_BYTES` of a file announce, None when they are of no image.

    Formats outside READABLE_FORMATS are recognised too, so that a person is told why a photo was left out.
    """
    if head[4:8] == b"ftyp":
        return _ISO_BRANDS.get(head[8:12])
    return next((name for name, holds in _TESTS if holds(head)), None)


def is_image_file(found: FoundFile) -> bool:
    """Return whether a file is an image or claims to be one: by its first bytes, or else by its suffix.

    So notes and tables beside the photos are passed over, and a photo.jpg that holds garbage, nothing, or cannot be
    opened is still looked at and reported.
    """
    return has_image_suffix(found.path) or sniff_format(_head_of(found.path)) is not None


def has_image_suffix(path: Path) -> bool:
    """Return whether the file's name claims that it is an image, in a format that is read here or not."""
    return path.suffix.lower() in _IMAGE_SUFFIXES


def _head_of(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb", buffering=0) as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""
