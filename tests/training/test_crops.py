from __future__ import annotations

from dataclasses import replace
from math import cos, sin
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.models.tdsl.settings import ALPHABET, SMALL
from glyphseek.training import crops as cutting
from glyphseek.training.annotated import AnnotatedPhoto, AnnotatedWord, annotate, is_held_out_word
from glyphseek.training.crops import RENDERED_BATCH, Levelling, WordPatch, cut_words, render_crops, sample_box
from glyphseek.types import FloatArray, RgbImage

AS_BOXES = Levelling(size=(40, 128), margin=0.05, outline_margin=None)
LEVEL = Levelling(size=(40, 128), margin=0.05, outline_margin=0.0)
BOXES = {"open": (40, 30, 100, 54), "edge": (0, 0, 24, 10)}


def photo_with(path: Path, *others: AnnotatedWord) -> AnnotatedPhoto:
    """Return a black photo on disk in which the words of `BOXES` are white rectangles."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    for left, top, right, bottom in BOXES.values():
        pixels[top:bottom, left:right] = 255
    cv2.imwrite(str(path), pixels)
    words = [AnnotatedWord(word=word, box_4=np.array(box, np.float32)) for word, box in BOXES.items()]
    return AnnotatedPhoto(path=path, words=(*words, *others))


def region(word: str | None, *box: float) -> AnnotatedWord:
    return AnnotatedWord(word=word, box_4=np.array(box, np.float32))


def test_patches_hold_the_word_where_its_box_says(tmp_path: Path) -> None:
    patches = cut_words(photo_with(tmp_path / "photo.png"))

    assert [patch.word for patch in patches] == list(BOXES)
    for patch, (left, top, right, bottom) in zip(patches, BOXES.values(), strict=True):
        x, y, x_end, y_end = patch.box_4.astype(int)
        assert (x_end - x, y_end - y) == (right - left, bottom - top)
        assert (patch.pixels[y:y_end, x:x_end] == 255).all()
        assert (patch.pixels > 0).sum() == 3 * (right - left) * (bottom - top)


def test_patches_keep_a_part_of_what_is_around(tmp_path: Path) -> None:
    inner, edge = cut_words(photo_with(tmp_path / "photo.png"))

    assert inner.box_4.tolist() == [15, 15, 75, 39]  # 0.6 x 24 pixels of height, rounded outwards
    assert inner.pixels.shape[:2] == (54, 90)
    assert edge.box_4.tolist() == [0, 0, 24, 10]
    assert edge.pixels.shape[:2] == (16, 30)


def test_illegible_low_and_narrow_words_are_left_out(tmp_path: Path) -> None:
    others = (region(None, 10, 10, 60, 40), region("low", 10, 10, 60, 17), region("thin", 10, 10, 13, 40))

    patches = cut_words(photo_with(tmp_path / "photo.png", *others))

    assert [patch.word for patch in patches] == list(BOXES)


def test_jitter_moves_the_box_but_keeps_most_of_the_word(tmp_path: Path) -> None:
    patch = cut_words(photo_with(tmp_path / "photo.png"))[0]

    crops = [patch.jittered(AS_BOXES, np.random.default_rng(seed)) for seed in range(60)]

    assert {crop.shape for crop in crops} == {(40, 128, 3)}
    shares = [float((crop > 127).mean()) for crop in crops]
    assert min(shares) > 0.6
    assert min(shares) < 0.9 < max(shares)


def test_jitter_is_repeated_by_the_same_generator_state(tmp_path: Path) -> None:
    patch = cut_words(photo_with(tmp_path / "photo.png"))[0]

    first, second, other = (patch.jittered(AS_BOXES, np.random.default_rng(seed)) for seed in (3, 3, 4))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_box_beyond_the_pixels_is_cut_to_them() -> None:
    pixels = np.full((20, 30, 3), 7, np.uint8)

    for box in ((-50.0, -50.0, 80.0, 70.0), (29.5, 19.5, 60.0, 60.0)):
        crop = sample_box(pixels, np.array(box), 8, 16)
        assert crop.shape == (8, 16, 3)
        assert (crop == 7).all()


def test_a_patch_without_jitter_room_is_still_a_crop() -> None:
    patch = WordPatch(pixels=np.full((8, 8, 3), 9, np.uint8), box_4=np.array([0, 0, 8, 8], np.float32), word="a")

    assert (patch.jittered(replace(AS_BOXES, size=(4, 15), margin=0.0), np.random.default_rng(0)) == 9).all()


def test_rendered_crops_are_spelt_and_never_of_held_out_words(crop_renderer: CropRenderer) -> None:
    crops = render_crops(crop_renderer, np.random.default_rng(0), 20, 64)

    assert len(crops) == RENDERED_BATCH
    assert {pixels.shape for pixels, _ in crops} == {(20, 64, 3)}
    assert all(word and set(word) <= set(ALPHABET) for _, word in crops)
    assert not any(is_held_out_word(word) for _, word in crops)


def sloping(angle: float, wide: int = 120, tall: int = 30) -> tuple[RgbImage, FloatArray]:
    """Return a black picture (200, 200, 3) with a grey bar of that slope, its right third white, and its outline."""
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])

    def place(left: float, right: float) -> FloatArray:
        corners = np.array([[left, -tall / 2], [right, -tall / 2], [right, tall / 2], [left, tall / 2]])
        return (corners @ turn + 100).astype(np.float32)

    pixels = np.zeros((200, 200, 3), np.uint8)
    for part, grey in ((place(-wide / 2, wide / 2), 128), (place(wide / 6, wide / 2), 255)):
        cv2.fillPoly(pixels, [np.rint(part).astype(np.int32)], (grey, grey, grey))
    return pixels, place(-wide / 2, wide / 2)


@pytest.mark.parametrize("angle", [0.6, -1.2])
def test_a_word_on_a_slope_is_cut_level(angle: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, polygon = sloping(angle)
    cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    monkeypatch.setattr(cutting, "LEVELLED", 1.0)
    monkeypatch.setattr(cutting, "OUTLINE_SPREAD", 0.0)

    (patch,) = cut_words(AnnotatedPhoto(path=tmp_path / "photo.png", words=(annotate("open", polygon),)))
    level, box = (patch.jittered(one, np.random.default_rng(0))[..., 0].astype(float) for one in (LEVEL, AS_BOXES))

    assert level[2:-2, 2:80].mean() == pytest.approx(128, abs=3)
    assert level[2:-2, 90:-2].mean() == pytest.approx(255, abs=6)
    assert (box == 0).mean() > 0.2


def test_outlines_are_misplaced_by_a_part_of_the_texts_height(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "LEVELLED", 1.0)
    pixels, polygon = sloping(0.6)
    outline = annotate("open", polygon).outline_62
    assert outline is not None
    found = [LEVEL.cut(pixels, outline, np.random.default_rng(seed)) for seed in (*range(30), 0)]
    cuts = [cut for cut in found if cut is not None]
    kept = [float((cut > 100).mean()) for cut in cuts]
    assert len(kept) == 31
    assert np.array_equal(cuts[0], cuts[-1])
    assert 0.8 < min(kept) < 0.99
    assert len(set(kept)) > 20


def test_level_words_and_those_of_presets_without_outlines_are_cut_as_boxes() -> None:
    pixels, polygon = sloping(0.6)
    level = annotate("open", np.array([[10, 10], [90, 12], [90, 32], [10, 30]], np.float32)).outline_62
    sloped = annotate("open", polygon).outline_62
    assert level is not None
    assert sloped is not None
    seeds = range(40)
    assert not any(LEVEL.cut(pixels, level, np.random.default_rng(seed)) is not None for seed in seeds)
    assert not any(AS_BOXES.cut(pixels, sloped, np.random.default_rng(seed)) is not None for seed in seeds)
    cut = sum(LEVEL.cut(pixels, sloped, np.random.default_rng(seed)) is not None for seed in seeds)
    assert 24 <= cut < 40  # four in five


def test_a_preset_says_how_its_words_are_cut() -> None:
    assert Levelling.of(SMALL) == Levelling(size=(40, 128), margin=0.05, outline_margin=0.1)
    assert Levelling.of(replace(SMALL, tells_outlines=False)).outline_margin is None


def test_rendered_words_are_made_level_too(crop_renderer: CropRenderer) -> None:
    as_boxes, level = (render_crops(crop_renderer, np.random.default_rng(0), 40, 128, one) for one in (None, LEVEL))
    assert [crop.shape for crop, _ in level] == [(40, 128, 3)] * RENDERED_BATCH
    assert not all(np.array_equal(a, b) for (a, _), (b, _) in zip(as_boxes, level, strict=True))
