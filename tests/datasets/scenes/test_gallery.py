from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.gallery import GalleryRow, find_relevant, render_photo, to_query, write_gallery
from glyphseek.datasets.scenes.scenes import ILLEGIBLE, SceneRenderer
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.errors import InputError
from glyphseek.types import RgbImage

SHAPES = ((160, 120),)
NO_POLYGON = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


@pytest.fixture(scope="module")
def renderer(fonts: FontBook, words: WordSource) -> SceneRenderer:
    return SceneRenderer(fonts=fonts, words=words)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_image(path: Path) -> RgbImage:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return np.asarray(pixels[:, :, ::-1], np.uint8)


def test_a_gallery_reads_back_as_it_was_written(renderer: SceneRenderer, tmp_path: Path) -> None:
    rows = list(write_gallery(tmp_path / "new", 6, 3, renderer, shapes=SHAPES))
    boxes = [json.loads(line) for line in (tmp_path / "new/boxes.jsonl").read_text().splitlines()]
    words = [json.loads(line) for line in (tmp_path / "new/gallery.jsonl").read_text().splitlines()]
    assert [row.image for row in rows] == [line["image"] for line in boxes] == [line["image"] for line in words]
    for row, boxed, worded in zip(rows, boxes, words, strict=True):
        assert [(item["t"], tuple(map(tuple, item["poly"]))) for item in boxed["items"]] == list(row.items)
        assert worded["words"] == [text for text, _ in row.items if text != ILLEGIBLE]
        assert read_image(tmp_path / "new" / row.image).shape == (120, 160, 3)
    relevant = json.loads((tmp_path / "new/qrels.json").read_text())
    assert relevant == find_relevant(rows)
    assert (tmp_path / "new/queries.txt").read_text().split() == list(relevant)
    top = json.loads((tmp_path / f"new/qrels_top{min(60, len(relevant))}.json").read_text())
    assert all(relevant[query] == images for query, images in top.items())


def test_the_same_seed_gives_the_same_files_and_another_seed_others(renderer: SceneRenderer, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        list(write_gallery(tmp_path / name, 3, seed, renderer, shapes=SHAPES))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert files_of(tmp_path / "one")["images/000000.jpg"] != files_of(tmp_path / "other")["images/000000.jpg"]


def test_a_photo_does_not_depend_on_how_many_are_rendered(renderer: SceneRenderer, tmp_path: Path) -> None:
    list(write_gallery(tmp_path / "few", 2, 5, renderer, shapes=SHAPES))
    list(write_gallery(tmp_path / "many", 4, 5, renderer, shapes=SHAPES))
    few, many = files_of(tmp_path / "few"), files_of(tmp_path / "many")
    assert few["images/000001.jpg"] == many["images/000001.jpg"]


def test_written_photos_have_the_colours_that_were_rendered(renderer: SceneRenderer, tmp_path: Path) -> None:
    list(write_gallery(tmp_path / "new", 1, 8, renderer, shapes=SHAPES, quality=98))
    written = read_image(tmp_path / "new/images/000000.jpg").astype(np.float64)
    rendered = render_photo(renderer, 8, 0, SHAPES).image.astype(np.float64)
    assert np.abs(written - rendered).mean() < 6
    np.testing.assert_allclose(written.mean(axis=(0, 1)), rendered.mean(axis=(0, 1)), atol=2)


def test_the_manifest_names_seed_settings_and_fonts(renderer: SceneRenderer, tmp_path: Path) -> None:
    list(write_gallery(tmp_path / "new", 1, 9, renderer, shapes=SHAPES))
    manifest = json.loads((tmp_path / "new/manifest.json").read_text())
    assert manifest["seed"] == 9
    assert manifest["fonts"]["fingerprint"] == renderer.fonts.fingerprint
    assert manifest["scenes"]["most"] == renderer.settings.most


def test_a_folder_in_use_and_a_count_of_none_are_refused(renderer: SceneRenderer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is not empty"):
        next(write_gallery(tmp_path, 1, 0, renderer))
    with pytest.raises(InputError, match="at least 1 photo"):
        next(write_gallery(tmp_path / "new", 0, 0, renderer))
    assert files_of(tmp_path) == {"mine.txt": b"keep"}


def test_relevance_skips_illegible_and_short_words_and_counts_an_image_once() -> None:
    texts = ("SALE!", "sale", ILLEGIBLE, "to", "Cafe-24")
    row = GalleryRow(image="images/a.jpg", items=tuple((text, NO_POLYGON) for text in texts))
    assert find_relevant([row]) == {"cafe24": ["images/a.jpg"], "sale": ["images/a.jpg"]}
    assert to_query("L'Été") == "lete"
