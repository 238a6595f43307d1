"""Windows of plainly printed words, where the place of every letter is known: what a trunk learns letters from first.

Photographed words say only roughly where their letters are. From these alone a trunk spends thousands of steps before
it tells any letter; from printed ones, a few hundred.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphseek.datasets.scenes import damage
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.training.annotated import AnnotatedWord, is_held_out_word, spell
from glyphseek.training.reading.windows import draw_log
from glyphseek.training.scenes import TrainingScene

PRINTED_HEIGHTS = (11.0, 34.0)
"""Size of the letters in pixels per em, log-uniform."""
OVERSAMPLED = 2
"""Letters are drawn this many times larger and shrunk, as a camera does."""
LEAST_CONTRAST = 60
BATCH = 8
_PAD = 3

Colours = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Ground and ink."""


def make_primers(side: int, seed: int) -> Callable[[], list[TrainingScene]]:
    """Return a function that prints a batch of windows at every call; runs in a renderer process."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    fonts, words = FontBook.discover(), WordSource.build()
    return lambda: [print_window(side, fonts, words, rng) for _ in range(BATCH)]


def print_window(side: int, fonts: FontBook, words: WordSource, rng: np.random.Generator) -> TrainingScene:
    """Return a `side` x `side` window with rows of words in many fonts, a little blurred and noisy."""
    colours = draw_colours(rng)
    canvas = Image.new("RGB", (OVERSAMPLED * side, OVERSAMPLED * side), colours[0])
    pen = ImageDraw.Draw(canvas)
    found: list[AnnotatedWord] = []
    top = float(rng.integers(2, 10))
    while top < side:
        size, left, low = draw_log(rng, PRINTED_HEIGHTS), float(rng.integers(2, 12)), top + 4
        while True:
            text = draw_text(words, rng)
            colours = draw_colours(rng) if rng.random() < 0.3 else colours
            font = fonts.draw(rng, text).at(round(OVERSAMPLED * size))
            word = place_word(font, text, left, top)
            if word.box_4[2] >= side or word.box_4[3] >= side:
                break
            print_word(pen, font, text, word, colours)
            found.append(word)
            left, low = float(word.box_4[2]) + size * rng.uniform(0.25, 0.8), max(low, float(word.box_4[3]))
        top = low + float(rng.integers(2, 9))
    pixels = np.asarray(canvas.resize((side, side), Image.Resampling.BOX), np.uint8)
    pixels = damage.blur(rng, pixels, damage.draw_blur(rng, 1.2))
    return TrainingScene(pixels=damage.add_noise(rng, pixels, 8), words=tuple(found))


def place_word(font: ImageFont.FreeTypeFont, text: str, x: float, y: float) -> AnnotatedWord:
    """Return a word with the upper left corner of its ink at (x, y), in pixels of the window."""
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    wide, tall = max(1.0, right - left), max(1.0, bottom - top)
    ends = np.array([(font.getlength(text[: i + 1]) - left) / wide for i in range(len(text))], np.float32).clip(0, 1)
    ends[-1] = 1
    box = np.array([x, y, x + wide / OVERSAMPLED, y + tall / OVERSAMPLED], np.float32)
    return AnnotatedWord(word=spell(text), box_4=box, letter_ends=ends)


def print_word(
    pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, text: str, word: AnnotatedWord, colours: Colours
) -> None:
    """Print a placed word on its own ground."""
    ground, ink = colours
    left, top, right, bottom = OVERSAMPLED * (word.box_4 + np.array([-_PAD, -_PAD, _PAD, _PAD]))
    pen.rectangle([left, top, right, bottom], fill=ground)
    ink_left, ink_top, _, _ = font.getbbox(text, anchor="ls")
    x, y = OVERSAMPLED * word.box_4[:2] - (ink_left, ink_top)
    pen.text((float(x), float(y)), text, fill=ink, font=font, anchor="ls")


def draw_text(words: WordSource, rng: np.random.Generator) -> str:
    """Return a word that is spelt as it is printed, character by character, and not held out."""
    while True:
        text = words.draw(rng)
        word = spell(text)
        if word is not None and len(word) == len(text) and not is_held_out_word(word):
            return text


def draw_colours(rng: np.random.Generator) -> Colours:
    """Return colours of ground and ink whose brightness differs by at least `LEAST_CONTRAST`."""
    while True:
        ground, ink = rng.integers(0, 256, (2, 3))
        if abs(int(ground.mean()) - int(ink.mean())) >= LEAST_CONTRAST:
            return (int(ground[0]), int(ground[1]), int(ground[2])), (int(ink[0]), int(ink[1]), int(ink[2]))
