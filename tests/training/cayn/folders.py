"""Annotated folders of plain coloured photos, each word always on the same colour: what a toy adapter can learn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"open": (220, 40, 40), "exit": (40, 220, 40), "cafe": (40, 40, 220), "hotel": (220, 220, 40)}


def paint(path: Path, words: Sequence[str], *, width: int = 96, height: int = 64) -> None:
    """Write a photo with a stripe for each word, in its colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width, 3), np.uint8)
    for index, word in enumerate(words):
        left, right = (index * width) // len(words), ((index + 1) * width) // len(words)
        pixels[:, left:right] = COLOURS.get(word.lower(), (128, 128, 128))
    noise = np.random.default_rng(len(path.name)).integers(0, 20, pixels.shape, dtype=np.uint8)
    Image.fromarray(np.minimum(pixels, 235) + noise).save(path)


def write_gallery(folder: Path, photos: Mapping[str, Sequence[str]]) -> Path:
    """Write photos in the project's layout: name to words. Return the folder."""
    rows: list[str] = []
    for name, words in photos.items():
        paint(folder / "images" / name, words)
        box = [[1, 1], [40, 1], [40, 30], [1, 30]]
        rows.append(json.dumps({"image": f"images/{name}", "items": [{"t": word, "poly": box} for word in words]}))
    (folder / "boxes.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_mlt(folder: Path, photos: Mapping[str, Sequence[str]]) -> Path:
    """Write photos as MLT-2017 has them: name to lines after the coordinates ("Latin,Open"). Return the folder."""
    for name, lines in photos.items():
        paint(folder / "ch8_training_images" / name, [line.split(",", 1)[1] for line in lines])
        text = "".join(f"1,1,40,1,40,30,1,30,{line}\n" for line in lines)
        place = folder / "ch8_training_localization_transcription_gt_v2" / f"gt_{Path(name).stem}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8-sig")
    return folder


def many_photos(count: int) -> dict[str, list[str]]:
    """Return names and words of photos over all four words; some are of the held-out fold."""
    names = list(COLOURS)
    return {f"photo{i}.png": [names[i % 4]] if i % 3 else [names[i % 4], names[(i + 1) % 4]] for i in range(count)}
