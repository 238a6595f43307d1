"""Writes rendered scenes as a gallery with ground truth, in the layout that every evaluation here reads."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from glyphseek import __version__
from glyphseek.datasets.scenes.damage import encode_jpeg
from glyphseek.datasets.scenes.dice import pick
from glyphseek.datasets.scenes.scenes import ILLEGIBLE, Scene, SceneRenderer
from glyphseek.errors import InputError
from glyphseek.queries import normalize

SHAPES = ((640, 480), (640, 480), (640, 480), (640, 427), (640, 360), (480, 640))
"""Width and height of rendered photos, all equally likely."""

SHORTEST_QUERY = 3
TOP = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryRow:
    """One written image: its path below the gallery folder, and its words with their polygons in pixels."""

    image: str
    items: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]


def write_gallery(
    folder: Path,
    count: int,
    seed: int,
    renderer: SceneRenderer,
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    quality: int = 90,
) -> Iterator[GalleryRow]:
    """Write `count` photos and their ground truth, yielding each row once its photo is there; nothing runs until asked.

    Writes images/NNNNNN.jpg, gallery.jsonl, boxes.jsonl, queries.txt, qrels.json, qrels_topN.json (the N = 60 most
    frequent words, fewer when there are fewer) and manifest.json, the text files after the last photo. Photo i depends
    on (seed, i) alone, not on `count`.
    Raises InputError when the folder holds something already or `count` is below 1.
    """
    if count < 1:
        raise InputError(f"a gallery needs at least 1 photo, got {count}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; render into a new folder")
    (folder / "images").mkdir(parents=True)
    rows: list[GalleryRow] = []
    for index in range(count):
        rows.append(_write_photo(folder, index, render_photo(renderer, seed, index, shapes), quality))
        yield rows[-1]
    _write_truth(folder, rows)
    _write_json(folder / "manifest.json", describe(renderer, count, seed, shapes, quality))


def render_photo(renderer: SceneRenderer, seed: int, index: int, shapes: Sequence[tuple[int, int]] = SHAPES) -> Scene:
    """Return the scene of photo `index` of the gallery with that seed."""
    rng = np.random.default_rng([seed, index])
    width, height = pick(rng, shapes)
    return renderer.render(rng, width, height)


def describe(
    renderer: SceneRenderer, count: int, seed: int, shapes: Sequence[tuple[int, int]], quality: int
) -> Mapping[str, object]:
    """Return everything that the photos depend on, as plain values."""
    return {
        "glyphseek": __version__,
        "count": count,
        "seed": seed,
        "shapes": [list(shape) for shape in shapes],
        "quality": quality,
        "scenes": asdict(renderer.settings),
        "words": asdict(renderer.words.settings),
        "excluded_words": len(renderer.words.excluded),
        "fonts": {"faces": len(renderer.fonts.faces), "fingerprint": renderer.fonts.fingerprint},
        "background_photos": len(renderer.backgrounds.photos),
        "libraries": {"numpy": np.__version__, "opencv": cv2.__version__},
    }


def find_relevant(rows: Sequence[GalleryRow]) -> dict[str, list[str]]:
    """Return for every word of at least three of a-z and 0-9 the images that show it legibly, both ordered."""
    relevant: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        for query in sorted({to_query(text) for text, _ in row.items if text != ILLEGIBLE}):
            if len(query) >= SHORTEST_QUERY:
                relevant[query].append(row.image)
    return {query: relevant[query] for query in sorted(relevant)}


def to_query(text: str) -> str:
    """Return the normal form of a transcription, cut down to a-z and 0-9."""
    return re.sub("[^a-z0-9]", "", normalize(text))


def _write_photo(folder: Path, index: int, scene: Scene, quality: int) -> GalleryRow:
    name = f"images/{index:06d}.jpg"
    (folder / name).write_bytes(encode_jpeg(scene.image, quality))
    items = tuple(
        (item.text, tuple((round(float(x), 1), round(float(y), 1)) for x, y in item.polygon)) for item in scene.items
    )
    return GalleryRow(image=name, items=items)


def _write_truth(folder: Path, rows: Sequence[GalleryRow]) -> None:
    with (folder / "gallery.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            words = [text for text, _ in row.items if text != ILLEGIBLE]
            lines.write(json.dumps({"image": row.image, "words": words}) + "\n")
    with (folder / "boxes.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            items = [{"t": text, "poly": polygon} for text, polygon in row.items]
            lines.write(json.dumps({"image": row.image, "items": items}) + "\n")
    relevant = find_relevant(rows)
    (folder / "queries.txt").write_text("".join(f"{query}\n" for query in relevant), encoding="utf-8")
    _write_json(folder / "qrels.json", relevant)
    frequent = sorted(relevant, key=lambda query: (-len(relevant[query]), query))[:TOP]
    _write_json(folder / f"qrels_top{len(frequent)}.json", {query: relevant[query] for query in frequent})


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
