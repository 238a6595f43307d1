from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glyphseek.training.annotated import AnnotatedPhoto, AnnotatedWord, annotate
from glyphseek.training.scenes import TrainingScene, batch_scenes, cut_scene, move_word, read_scene

BOX = (90, 60, 170, 84)


def word_at(left: float, top: float, right: float, bottom: float, word: str | None = "open") -> AnnotatedWord:
    return AnnotatedWord(word=word, box_4=np.array([left, top, right, bottom], np.float32))


def painted_scene() -> TrainingScene:
    """Return a black scene with one white rectangle that is its word."""
    pixels = np.zeros((200, 300, 3), np.uint8)
    left, top, right, bottom = BOX
    pixels[top:bottom, left:right] = 255
    return TrainingScene(pixels=pixels, words=(word_at(*BOX),))


def white_box(window: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the box around what is white in a window."""
    rows, columns = np.nonzero(window[..., 0] > 127)
    # The grey that pads a window is 114, under the threshold.
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_a_words_box_in_the_window_is_where_its_pixels_are(scale: float) -> None:
    seen = 0
    for seed in range(40):
        cut = cut_scene(painted_scene(), 96, scale, np.random.default_rng(seed))
        assert cut.pixels.shape == (96, 96, 3)
        if not cut.words:
            assert (cut.pixels > 127).sum() < 96 * 2 * 3
            continue
        seen += 1
        np.testing.assert_allclose(cut.words[0].box_4, white_box(cut.pixels), atol=1.0)
    assert seen > 15


def test_half_of_the_windows_are_placed_on_a_word_of_a_large_scene() -> None:
    pixels = np.zeros((2000, 2000, 3), np.uint8)
    scene = TrainingScene(pixels=pixels, words=(word_at(1000, 1000, 1040, 1020),))

    hits = sum(bool(cut_scene(scene, 64, 1.0, np.random.default_rng(seed)).words) for seed in range(60))

    assert 18 <= hits <= 42


def test_a_scene_smaller_than_the_window_is_padded_with_grey() -> None:
    scene = TrainingScene(pixels=np.zeros((40, 60, 3), np.uint8), words=(word_at(5, 5, 45, 25),))

    cut = cut_scene(scene, 96, 1.0, np.random.default_rng(0))

    assert (cut.pixels[:40, :60] == 0).all()
    assert (cut.pixels[40:] == 114).all()
    assert (cut.pixels[:, 60:] == 114).all()
    assert cut.words[0].box_4.tolist() == [5, 5, 45, 25]


@pytest.mark.parametrize(
    ("box", "word", "moved"),
    [
        ((20, 20, 60, 40), "open", [10, 10, 50, 30]),
        ((-20, 20, 60, 40), None, [0, 10, 50, 30]),
        ((20, 20, 60, 25), None, [10, 10, 50, 15]),
    ],
    ids=["whole", "more than 30 % cut off", "too low"],
)
def test_a_moved_word_keeps_its_text_while_it_can_be_read(
    box: tuple[float, float, float, float], word: str | None, moved: list[float]
) -> None:
    corner, limit = np.array([10, 10, 10, 10], np.float32), np.array([100, 100, 100, 100], np.float32)

    found = move_word(word_at(*box), 1.0, corner, limit)

    assert found is not None
    assert found.word == word
    assert found.box_4.tolist() == moved


def test_a_word_outside_the_window_is_gone() -> None:
    corner, limit = np.zeros(4, np.float32), np.full(4, 50, np.float32)

    assert move_word(word_at(60, 10, 90, 30), 1.0, corner, limit) is None


def test_a_batch_keeps_legible_words_and_ignored_regions_apart() -> None:
    words = (word_at(1, 2, 30, 20), word_at(5, 5, 9, 9, None))
    pixels = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    empty = TrainingScene(pixels=np.zeros((32, 32, 3), np.uint8), words=())

    batch = batch_scenes([TrainingScene(pixels=pixels, words=words), empty])

    assert batch.images_B3HW.shape == (2, 3, 32, 32)
    assert torch.equal(batch.images_B3HW[0, 1], torch.from_numpy(pixels[..., 1]))
    assert batch.words == [["open"], []]
    assert batch.boxes[0].tolist() == [[1, 2, 30, 20]]
    assert batch.ignored[0].tolist() == [[5, 5, 9, 9]]
    assert batch.boxes[1].shape == batch.ignored[1].shape == (0, 4)
    assert batch.outlines[0].shape == (1, 6, 2)
    assert batch.outlines[0].isnan().all()
    assert batch.outlines[1].shape == (0, 6, 2)


@pytest.mark.parametrize(("right", "is_known"), [(60.0, True), (108.0, True), (112.0, False)])
def test_an_outline_moves_with_its_word_and_is_not_known_where_that_is_cut(right: float, is_known: bool) -> None:
    corner, limit = np.array([10, 20, 10, 20], np.float32), np.array([44, 100, 44, 100], np.float32)
    slope = np.array([[20, 50], [right, 40], [right, 70], [20, 80]], np.float32)

    found = move_word(annotate("open", slope), 0.5, corner, limit)

    assert found is not None
    assert found.word == "open"
    assert (found.outline_62 is not None) == is_known
    if found.outline_62 is not None:
        middle = (20 + right) / 2
        wanted = [[20, 50], [middle, 45], [right, 40], [20, 80], [middle, 75], [right, 70]]
        assert found.outline_62.tolist() == [[x / 2 - 10, y / 2 - 20] for x, y in wanted]


def test_outlines_of_a_batch_are_in_pixels_of_its_windows() -> None:
    word = annotate("open", np.array([[10, 10], [30, 10], [30, 20], [10, 20]], np.float32))
    pixels = np.zeros((32, 40, 3), np.uint8)
    batch = batch_scenes([cut_scene(TrainingScene(pixels=pixels, words=(word,)), 64, 1.5, np.random.default_rng(0))])
    assert batch.outlines[0][0].tolist() == [[15, 15], [30, 15], [45, 15], [15, 30], [30, 30], [45, 30]]
    assert batch.boxes[0].tolist() == [[15, 15, 45, 30]]


def test_a_real_photo_is_shrunk_with_its_boxes(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), painted_scene().pixels)

    scene = read_scene(AnnotatedPhoto(path=path, words=(word_at(*BOX),)), 150)

    assert scene.pixels.shape == (100, 150, 3)
    assert scene.words[0].box_4.tolist() == [45, 30, 85, 42]
    np.testing.assert_allclose(white_box(scene.pixels), [45, 30, 85, 42], atol=1)


def test_a_small_photo_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), painted_scene().pixels)

    assert read_scene(AnnotatedPhoto(path=path, words=()), 1024).pixels.shape == (200, 300, 3)
