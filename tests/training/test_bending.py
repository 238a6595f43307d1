"""Photos bent around a circle: where their words come to lie, and which of them can still be read."""

from __future__ import annotations

from math import pi

import cv2
import numpy as np
import pytest
import torch

from glyphseek.datasets.scenes.geometry import Bend, Warp, rotation
from glyphseek.models.tdsl.outlines import on_edges
from glyphseek.training.annotated import AnnotatedWord, annotate
from glyphseek.training.bending import SIDE, bend_scene, bend_word
from glyphseek.training.scenes import TrainingScene
from glyphseek.types import FloatArray

ORIGIN = np.zeros(2, np.float32)


def word_at(left: float, top: float, right: float, bottom: float, text: str = "word") -> AnnotatedWord:
    return annotate(text, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32))


def around(radius: float, turn: float = 0.0) -> Warp:
    return Warp(bend=Bend(radius=radius), matrix=rotation(turn))


def line_of(outline_62: FloatArray) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int32]]]:
    edges = on_edges(torch.from_numpy(outline_62)[None], torch.linspace(0, 1, 9))[0].numpy()
    return [np.rint(np.concatenate([edges[0], edges[1][::-1]])).astype(np.int32)]


def test_outlines_and_boxes_hold_the_ink_of_their_words_wherever_a_photo_is_bent() -> None:
    """The words are black bars on white; black outside of the photo is told by bending a white one alike."""
    words = tuple(word_at(x, y, x + 90, y + 24) for x in range(40, 800, 150) for y in range(30, 560, 90))
    pixels = np.full((600, 840, 3), 255, np.uint8)
    for word in words:
        left, top, right, bottom = word.box_4.astype(int)
        pixels[top:bottom, left:right] = 0
    white = TrainingScene(pixels=np.full_like(pixels, 255), words=words)
    told = 0
    for seed in range(30):
        seen = bend_scene(TrainingScene(pixels=pixels, words=words), np.random.default_rng(seed))
        page = bend_scene(white, np.random.default_rng(seed)).pixels[..., 0] > 200
        ink = (seen.pixels[..., 0] < 100) & page
        assert seen.pixels.shape == (SIDE, SIDE, 3)
        boxes = np.zeros((SIDE, SIDE), np.uint8)
        for word in seen.words:
            left, top, right, bottom = np.rint(word.box_4).astype(int)
            cv2.rectangle(boxes, (int(left) - 2, int(top) - 2), (int(right) + 2, int(bottom) + 2), 1, -1)
            if word.outline_62 is None or word.word is None:
                continue
            inside = np.zeros((SIDE, SIDE), np.uint8)
            cv2.fillPoly(inside, line_of(word.outline_62), 1)
            shown = (inside > 0) & page
            if shown.sum() > 200:
                told += 1
                assert ink[cv2.erode(inside, np.ones((5, 5), np.uint8)) * shown > 0].mean() > 0.93
        assert ink[boxes == 0].sum() <= 0.005 * max(1, ink.sum())
    assert told > 200


def test_a_word_on_the_circle_runs_along_it() -> None:
    bent = bend_word(word_at(-50, -10, 50, 10), around(100), ORIGIN)
    assert bent is not None
    assert bent.outline_62 is not None
    assert bent.word == "word"
    distances = np.linalg.norm(bent.outline_62 - np.array([0, 100]), axis=1)  # its centre is 100 below the origin
    np.testing.assert_allclose(distances, [110, 110, 110, 90, 90, 90], rtol=1e-4)
    np.testing.assert_allclose(bent.box_4, [*bent.outline_62.min(0), *bent.outline_62.max(0)], atol=1e-3)


@pytest.mark.parametrize(
    ("box", "turn", "is_read"),
    [
        ((-50, -10, 50, 10), 0.0, True),
        ((-50, -10, 50, 10), 114.0, True),
        ((-50, -10, 50, 10), 116.0, False),  # on its head
        ((130, -10, 160, 10), 0.0, True),  # 83 degrees along the circle
        ((260, -10, 290, 10), 0.0, False),
        ((-10, 30, 10, 49), 0.0, True),
        ((-10, 30, 10, 51), 0.0, False),  # less than half as wide near the middle of the circle
        ((-10, -101, 10, -80), 0.0, False),  # more than twice as wide
        ((300, -10, 330, 10), 0.0, False),  # cut where the circle closes
    ],
)
def test_words_on_their_heads_cut_or_much_wider_or_narrower_are_not_read(
    box: tuple[float, float, float, float], turn: float, is_read: bool
) -> None:
    bent = bend_word(word_at(*box), around(100, turn), ORIGIN)
    assert bent is not None
    assert (bent.word is not None) is is_read


@pytest.mark.parametrize("box", [(100 * pi + 1, -10, 340, 10), (-10, 101, 10, 120)])
def test_words_beyond_the_circle_are_gone(box: tuple[float, float, float, float]) -> None:
    assert bend_word(word_at(*box), around(100), ORIGIN) is None


def test_a_word_without_an_outline_keeps_its_box_alone() -> None:
    box = np.array([-50, -10, 50, 10], np.float32)
    bent = bend_word(AnnotatedWord(word=None, box_4=box), around(100), ORIGIN)
    whole = bend_word(word_at(-50, -10, 50, 10), around(100), ORIGIN)
    assert bent is not None
    assert whole is not None
    assert bent.outline_62 is None
    np.testing.assert_allclose(bent.box_4, whole.box_4)


def test_a_photo_without_words_is_bent_too() -> None:
    seen = bend_scene(TrainingScene(pixels=np.full((60, 80, 3), 200, np.uint8), words=()), np.random.default_rng(0))
    assert seen.words == ()
    assert (seen.pixels == 200).any()
