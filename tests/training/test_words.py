from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training.makers import make_noise

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.errors import SettingError
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import ALPHABET, find_preset
from glyphseek.training.annotated import AnnotatedPhoto, AnnotatedWord, is_held_out_word
from glyphseek.training.words import (
    RENDERED_BATCH,
    WordPatch,
    WordStage,
    WordStageSettings,
    augment_colours,
    cut_words,
    greedy_words,
    render_crops,
    sample_box,
    stack_crops,
)

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

    crops = [patch.jittered(40, 128, 0.05, np.random.default_rng(seed)) for seed in range(60)]

    assert {crop.shape for crop in crops} == {(40, 128, 3)}
    shares = [float((crop > 127).mean()) for crop in crops]
    assert min(shares) > 0.6
    assert min(shares) < 0.9 < max(shares)


def test_jitter_is_repeated_by_the_same_generator_state(tmp_path: Path) -> None:
    patch = cut_words(photo_with(tmp_path / "photo.png"))[0]

    first, second, other = (patch.jittered(40, 128, 0.05, np.random.default_rng(seed)) for seed in (3, 3, 4))

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

    assert (patch.jittered(4, 15, 0.0, np.random.default_rng(0)) == 9).all()


def test_rendered_crops_are_spelt_and_never_of_held_out_words(crop_renderer: CropRenderer) -> None:
    crops = render_crops(crop_renderer, np.random.default_rng(0), 20, 64)

    assert len(crops) == RENDERED_BATCH
    assert {pixels.shape for pixels, _ in crops} == {(20, 64, 3)}
    assert all(word and set(word) <= set(ALPHABET) for _, word in crops)
    assert not any(is_held_out_word(word) for _, word in crops)


def test_augmented_colours_stay_in_range_and_keep_the_shape() -> None:
    rng = np.random.default_rng(0)
    crops = stack_crops(list(rng.integers(0, 256, (16, 10, 20, 3), dtype=np.uint8)))

    augmented = augment_colours(crops, np.random.default_rng(1))

    assert augmented.shape == (16, 3, 10, 20)
    assert augmented.dtype == torch.float32
    assert augmented.min() >= 0
    assert augmented.max() <= 255
    assert augmented.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(augmented, augment_colours(crops, np.random.default_rng(1)))


def test_each_crop_is_augmented_differently() -> None:
    crops = torch.full((40, 3, 2, 2), 100, dtype=torch.uint8)

    means = augment_colours(crops, np.random.default_rng(0)).mean((1, 2, 3))

    assert len({round(float(mean), 3) for mean in means}) == 40
    assert means.min() < 80 < 120 < means.max()


def test_weights_that_read_already_are_trained_without_alignment(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, preset = Tdsl(find_preset("tdsl-small")), find_preset("tdsl-small")
    noise = partial(make_noise, preset.roi_rows, preset.roi_columns)
    terms: dict[int, set[str]] = {}
    for steps in (0, 10):
        stage = WordStage(preset, WordStageSettings(batch=2, start_with=4, aligned_steps=steps), make=noise)
        terms[steps] = set(stage.loss(network, 3, np.random.default_rng(0)))
        stage.close()

    assert terms == {0: {"similarity", "ctc"}, 10: {"similarity", "ctc", "alignment"}}


def test_a_preset_that_reads_the_pyramid_cannot_learn_from_crops() -> None:
    with pytest.raises(SettingError, match="tdsl-tiny reads words from the pyramid"):
        WordStage(find_preset("tdsl-tiny"), WordStageSettings())


def test_greedy_reading_merges_repeats_and_drops_blanks() -> None:
    blank = len(ALPHABET)
    path = [ALPHABET.index(c) if c != "_" else blank for c in "aa_abb_0"]
    logits = torch.nn.functional.one_hot(torch.tensor([path, [blank] * 8]), blank + 1).float()

    assert greedy_words(logits) == ["aab0", ""]
