"""Writes tiny photos for the folders that the loader tests build."""

from pathlib import Path

from PIL import Image


def write_photos(folder: Path, *names: str, size: tuple[int, int] = (40, 30)) -> None:
    """Write one grey photo for each name, which may hold folders."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (128, 128, 128)).save(path)


def write(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path
