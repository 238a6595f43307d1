from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np

from glyphseek.datasets.scenes.backgrounds import Backgrounds, Photo
from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.settings import CropSettings
from glyphseek.datasets.scenes.words import WordSource

PROGRAM = """
import hashlib, importlib.util, pathlib, numpy
from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.words import WordSettings, WordSource
fonts = FontBook.discover([pathlib.Path(importlib.util.find_spec("matplotlib").origin).parent])
words = WordSource.build(WordSettings(languages=(("en", 1.0),), vocabulary=3000))
crops = CropRenderer(fonts=fonts, words=words)
digest = hashlib.sha256()
for index in range(30):
    image, text = crops.render(numpy.random.default_rng([5, index]))
    digest.update(image.tobytes() + text.encode())
print(digest.hexdigest())
"""


def digest(crops: CropRenderer) -> str:
    total = hashlib.sha256()
    for index in range(30):
        image, text = crops.render(np.random.default_rng([5, index]))
        total.update(image.tobytes() + text.encode())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_this_and_in_another_process(fonts: FontBook, words: WordSource) -> None:
    crops = CropRenderer(fonts=fonts, words=words)
    first, second = digest(crops), digest(crops)
    other = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.strip()
    assert first == second == other


def test_crops_have_the_size_asked_for_and_a_drawable_text(fonts: FontBook, words: WordSource) -> None:
    crops = CropRenderer(fonts=fonts, words=words)
    for index in range(120):
        image, text = crops.render(np.random.default_rng([1, index]), height=32, width=100)
        assert image.shape == (32, 100, 3)
        assert image.dtype == np.uint8
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


def test_a_plain_crop_shows_its_word(fonts: FontBook, words: WordSource) -> None:
    still = CropSettings(curved=0, waved=0, tilted=0, neighbours=0, panels=0, covered=0, lowest_height=40)
    black = Backgrounds(photos=(Photo(image=np.zeros((300, 300, 3), np.uint8)),), photo_share=1.0)
    crops = CropRenderer(fonts=fonts, words=words, backgrounds=black, settings=still)
    inked = 0
    for index in range(40):
        image, _ = crops.render(np.random.default_rng([2, index]))
        inked += int(np.ptp(image[10:30].mean(axis=2)) > 30)
    assert inked >= 38


def test_excluded_words_are_never_the_word_of_a_crop(fonts: FontBook, words: WordSource) -> None:
    crops = CropRenderer(fonts=fonts, words=words)
    seen = {crops.render(np.random.default_rng([3, index]))[1].lower() for index in range(60)}
    rest = replace(crops, words=WordSource.build(words.settings, exclude=seen))
    again = {rest.render(np.random.default_rng([3, index]))[1].lower() for index in range(60)}
    assert seen.isdisjoint(again)


def test_a_seen_words_outline_is_where_its_ink_is(fonts: FontBook, words: WordSource) -> None:
    still = CropSettings(
        curved=1, waved=0, tilted=0, neighbours=0, panels=0, covered=0, lowest_height=40, misplaced=0, downwards=0
    )
    black = Backgrounds(photos=(Photo(image=np.zeros((300, 300, 3), np.uint8)),), photo_share=1.0)
    crops = CropRenderer(fonts=fonts, words=words, backgrounds=black, settings=still)
    inside, outside = [], []
    for index in range(40):
        seen = crops.see(np.random.default_rng([3, index]))
        edges = seen.outline_62[:3], seen.outline_62[:2:-1]
        mask = np.zeros(seen.pixels.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.rint(np.concatenate(edges)).astype(np.int32)], 1)
        bright = seen.pixels.max(2).astype(float)
        inside.append(bright[mask == 1].mean())
        outside.append(bright[mask == 0].mean() if (mask == 0).any() else 0.0)
    assert np.mean(inside) > 2 * np.mean(outside)
