from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphseek.errors import ImageUnreadable
from glyphseek.training.annotated import (
    HELD_OUT_PHOTOS,
    annotate,
    is_held_out_photo,
    is_held_out_word,
    read_annotated_photos,
    read_pixels,
    spell,
)

NAMES = [f"img_{number}.jpg" for number in range(1, 201)]
PINNED_PHOTOS = ["img_6.jpg", "img_14.jpg", "img_15.jpg"]
PINNED_WORDS = ["street"]


def write_gallery(folder: Path) -> Path:
    items = [{"t": "Coffee", "poly": [[10, 20], [50, 22], [48, 40], [9, 38]]}, {"t": "###", "poly": [[0, 0], [5, 5]]}]
    lines = [json.dumps({"image": f"images/{name}", "items": items}) for name in NAMES]
    (folder / "boxes.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("transcription", "word"),
    [
        ("Coffee", "coffee"),
        ("CAFÉ", "cafe"),
        ("24h", "24h"),
        ("###", None),
        ("", None),
        ("two words", None),
        ("日本", None),
    ],
)
def test_transcriptions_are_spelt_as_the_model_spells_or_not_at_all(transcription: str, word: str | None) -> None:
    assert spell(transcription) == word


def test_folds_of_photos_are_disjoint_and_together_the_gallery(tmp_path: Path) -> None:
    gallery = write_gallery(tmp_path)

    trained, held = (
        {photo.path.name for photo in read_annotated_photos(gallery, held_out=held_out)} for held_out in (False, True)
    )

    assert trained.isdisjoint(held)
    assert trained | held == set(NAMES)
    assert len(NAMES) / HELD_OUT_PHOTOS / 1.5 < len(held) < 1.5 * len(NAMES) / HELD_OUT_PHOTOS


def test_a_photo_stays_in_its_fold_for_ever_and_wherever_it_lies() -> None:
    assert [name for name in NAMES[:20] if is_held_out_photo(Path(name))] == PINNED_PHOTOS
    assert all(is_held_out_photo(Path("/elsewhere") / name) for name in PINNED_PHOTOS)


def test_held_out_words_are_pinned_and_have_four_characters_or_more() -> None:
    words = ["coffee", "open", "hotel", "station", "market", "street", "bakery", "police", "museum", "pizza", "school"]

    assert [word for word in words if is_held_out_word(word)] == PINNED_WORDS
    assert not any(is_held_out_word(f"{a}{b}{c}") for a in "abcdefgh" for b in "aeiou" for c in "xyz")


def test_about_one_word_in_twenty_is_held_out() -> None:
    words = [f"word{number}" for number in range(4000)]

    assert 150 < sum(map(is_held_out_word, words)) < 250


def test_a_region_has_the_box_around_its_polygon(tmp_path: Path) -> None:
    word, region = read_annotated_photos(write_gallery(tmp_path), held_out=False)[0].words

    assert word.word == "coffee"
    assert word.box_4.tolist() == [9, 20, 50, 40]
    assert region.word is None


@pytest.mark.parametrize(
    ("polygon", "outline"),
    [
        ([[0, 0], [40, 10], [40, 30], [0, 20]], [[0, 0], [20, 5], [40, 10], [0, 20], [20, 25], [40, 30]]),
        (
            [[0, 20], [20, 0], [40, 0], [60, 20], [60, 40], [40, 20], [20, 20], [0, 40]],
            [[0, 20], [30, 0], [60, 20], [0, 40], [30, 20], [60, 40]],
        ),
        ([[0, 0], [40, 0], [20, 20]], None),
        ([[0, 0], [20, 0], [40, 0], [40, 20], [0, 20]], None),
    ],
    ids=["four points", "an arc of eight", "three", "five"],
)
def test_a_polygon_along_the_top_and_back_along_the_bottom_is_an_outline(
    polygon: list[list[float]], outline: list[list[float]] | None
) -> None:
    found = annotate("open", np.array(polygon, np.float32)).outline_62

    assert (None if found is None else found.tolist()) == outline


def test_boxes_are_float32() -> None:
    assert annotate("open", np.array([[1, 2], [3, 4]], np.float32)).box_4.dtype == np.float32


def test_pixels_are_red_green_blue(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 6, 3), (0, 0, 255), np.uint8))

    pixels = read_pixels(tmp_path / "red.png")

    assert pixels.shape == (4, 6, 3)
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no photo")

    for name in ("broken.png", "missing.png"):
        with pytest.raises(ImageUnreadable, match=name):
            read_pixels(tmp_path / name)
