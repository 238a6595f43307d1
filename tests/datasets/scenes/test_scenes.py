from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest

from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.scenes import ILLEGIBLE, SceneRenderer
from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.datasets.scenes.supports import Support, SupportMaker
from glyphseek.datasets.scenes.words import WordSource


def test_the_same_seed_gives_the_same_scene(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words)
    for index in range(6):
        first, second = (scenes.render(np.random.default_rng([0, index]), 320, 240) for _ in range(2))
        assert hashlib.sha256(first.image.tobytes()).digest() == hashlib.sha256(second.image.tobytes()).digest()
        assert [item.text for item in first.items] == [item.text for item in second.items]
        for one, other in zip(first.items, second.items, strict=True):
            np.testing.assert_array_equal(one.polygon, other.polygon)


def test_polygons_lie_inside_the_picture_even_of_words_that_it_cuts(fonts: FontBook, words: WordSource) -> None:
    settings = SceneSettings(cut=1.0, narrowest=0.5)
    scenes = SceneRenderer(fonts=fonts, words=words, settings=settings)
    edges = 0
    for index in range(20):
        scene = scenes.render(np.random.default_rng([1, index]), 320, 240)
        assert scene.image.shape == (240, 320, 3)
        for item in scene.items:
            assert item.polygon.min() >= 0
            assert item.polygon[:, 0].max() <= 320
            assert item.polygon[:, 1].max() <= 240
            edges += int(item.polygon.min() == 0)
    assert edges > 0


def test_low_words_are_marked_illegible(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words, settings=SceneSettings(legible_height=1000.0, empty=0.0))
    texts = {item.text for index in range(5) for item in scenes.render(np.random.default_rng([2, index])).items}
    assert texts == {ILLEGIBLE}


def test_words_that_hardly_show_are_marked_illegible(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words, settings=SceneSettings(legible_contrast=256.0, cut=0, empty=0.0))
    texts = {item.text for index in range(5) for item in scenes.render(np.random.default_rng([2, index])).items}
    assert texts == {ILLEGIBLE}


def test_readable_words_have_letters_where_the_polygon_is(fonts: FontBook, words: WordSource) -> None:
    """The pixels of a word's polygon vary more than a plain surface would."""
    scenes = SceneRenderer(fonts=fonts, words=words)
    flat = total = 0
    for index in range(15):
        scene = scenes.render(np.random.default_rng([3, index]))
        grey = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY)
        for item in scene.items:
            if item.text != ILLEGIBLE:
                mask = np.zeros(grey.shape, np.uint8)
                cv2.fillPoly(mask, [np.rint(item.polygon).astype(np.int32)], 1)
                flat += int(grey[mask > 0].std() < 4)
                total += 1
    assert total > 30
    assert flat <= 0.08 * total


def test_words_of_different_lines_hardly_overlap(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words)
    for index in range(15):
        masks = []
        for item in scenes.render(np.random.default_rng([4, index])).items:
            mask = np.zeros((480, 640), bool).astype(np.uint8)
            cv2.fillPoly(mask, [np.rint(item.polygon).astype(np.int32)], 1)
            masks.append(mask.astype(bool))
        for one, other in combinations(masks, 2):
            smaller = min(one.sum(), other.sum())
            assert (one & other).sum() <= max(20, 0.35 * smaller)


def test_excluded_words_appear_in_no_scene(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words)
    seen = {item.text for index in range(10) for item in scenes.render(np.random.default_rng([5, index])).items}
    rest = replace(scenes, words=WordSource.build(words.settings, exclude=seen - {ILLEGIBLE}))
    again = {item.text for index in range(10) for item in rest.render(np.random.default_rng([5, index])).items}
    assert {text.lower() for text in seen - {ILLEGIBLE}}.isdisjoint(text.lower() for text in again)


def test_an_empty_scene_has_no_items(fonts: FontBook, words: WordSource) -> None:
    scenes = SceneRenderer(fonts=fonts, words=words, settings=SceneSettings(empty=1.0))
    assert scenes.render(np.random.default_rng(0), 200, 100).items == ()


def test_a_support_on_which_nothing_was_drawn_is_no_fault(
    fonts: FontBook, words: WordSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Support(runs=(), outline=None, bounds=(0.0, 0.0, 0.0, 0.0))

    def draw(self: SupportMaker, rng: np.random.Generator, width: float, highest: float) -> Support:
        return nothing

    monkeypatch.setattr(SupportMaker, "draw", draw)
    scenes = SceneRenderer(fonts=fonts, words=words, settings=SceneSettings(empty=0.0))
    assert scenes.render(np.random.default_rng(0), 320, 240).items == ()


def test_scenes_may_have_more_badges_and_more_turned_text(fonts: FontBook, words: WordSource) -> None:
    def share_on_slopes(settings: SceneSettings) -> float:
        scenes = SceneRenderer(fonts=fonts, words=words, settings=settings)
        items = [
            item for index in range(25) for item in scenes.render(np.random.default_rng([4, index]), 480, 360).items
        ]
        edges = [item.polygon[len(item.polygon) // 2 - 1] - item.polygon[0] for item in items]
        return float(np.mean([abs(np.arctan2(y, x)) > 0.35 for x, y in edges]))

    plain = SceneSettings(empty=0.0)
    assert share_on_slopes(replace(plain, turned=1.0)) > share_on_slopes(plain) + 0.2
    assert share_on_slopes(replace(plain, badges=1.0)) > share_on_slopes(plain) + 0.1
    assert share_on_slopes(replace(plain, seals=1.0)) > share_on_slopes(replace(plain, badges=1.0)) + 0.1
