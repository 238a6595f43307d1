"""Windows from scenes and from cropped words."""

from __future__ import annotations

import numpy as np
import pytest

from glyphseek.training.annotated import AnnotatedWord
from glyphseek.training.crops import WordPatch
from glyphseek.training.reading.canvases import STRETCHED_SIZE, natural_width, pack_canvas, real_drawer
from glyphseek.training.reading.windows import LEAST_VISIBLE, TEXT_HEIGHTS, cut_window, text_height
from glyphseek.training.scenes import TrainingScene

SIDE = 96


def scene(*boxes: tuple[float, float, float, float]) -> TrainingScene:
    words = tuple(AnnotatedWord(word="word", box_4=np.array(box, np.float32)) for box in boxes)
    return TrainingScene(pixels=np.full((300, 400, 3), 50, np.uint8), words=words)


@pytest.mark.parametrize("seed", range(20))
def test_the_word_of_a_window_has_a_height_that_the_trunk_reads(seed: int) -> None:
    cut = cut_window(scene((100, 100, 220, 140)), SIDE, np.random.default_rng(seed))
    assert cut.pixels.shape == (SIDE, SIDE, 3)
    legible = [word for word in cut.words if word.word is not None]
    for word in legible:
        assert text_height(word.box_4) <= TEXT_HEIGHTS[1] + 16  # a tenth of the windows has another scale
        assert word.box_4.min() >= 0
        assert word.box_4.max() <= SIDE


def test_words_cut_by_the_window_are_ignored() -> None:
    seen = [
        word
        for seed in range(60)
        for word in cut_window(scene((0, 100, 390, 118)), SIDE, np.random.default_rng(seed)).words
    ]
    assert seen
    whole = 390 / 18
    for word in seen:
        if word.word is not None:
            width, height = word.box_4[2:] - word.box_4[:2]
            assert width / height >= LEAST_VISIBLE * whole


def test_a_scene_without_words_gives_a_window_without_words() -> None:
    assert cut_window(scene(), SIDE, np.random.default_rng(0)).words == ()


def test_a_canvas_shows_each_crop_where_it_says() -> None:
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}

    def draw(rng: np.random.Generator) -> tuple[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], str]:
        word = list(colours)[int(rng.integers(3))]
        return np.full((*STRETCHED_SIZE, 3), colours[word], np.uint8), word

    canvas = pack_canvas(SIDE, draw, np.random.default_rng(1))
    assert len(canvas.words) >= 3
    for word in canvas.words:
        left, top, right, bottom = word.box_4.astype(int)
        assert word.word is not None
        assert (canvas.pixels[top:bottom, left:right] == colours[word.word]).all()
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE


def test_a_stretched_crop_gets_the_width_of_its_letters_back_and_others_keep_their_shape() -> None:
    rng = np.random.default_rng(0)
    stretched, natural = np.zeros((*STRETCHED_SIZE, 3), np.uint8), np.zeros((20, 50, 3), np.uint8)
    assert natural_width(natural, "any", 40, rng) == 100
    long, short = (natural_width(stretched, word, 20, rng) for word in ("international", "at"))
    assert long > 3 * short


def test_a_real_word_is_drawn_from_its_patch() -> None:
    patch = WordPatch(pixels=np.full((30, 60, 3), 9, np.uint8), box_4=np.array([5, 5, 55, 25], np.float32), word="cafe")
    pixels, word = real_drawer([patch])(np.random.default_rng(0))
    assert word == "cafe"
    assert 18 <= pixels.shape[0] <= 30
    assert 44 <= pixels.shape[1] <= 60
