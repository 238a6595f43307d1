"""Scenes that cost nothing, for the renderer processes of tests; importable by name, as another process must."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glyphseek.training.annotated import AnnotatedWord
from glyphseek.training.scenes import TrainingScene


def make_noisy_scenes(seed: int) -> Callable[[], list[TrainingScene]]:
    """Return a function that gives photos of noise, a rectangle of which is called a word."""
    rng = np.random.default_rng(seed)

    def make() -> list[TrainingScene]:
        word = AnnotatedWord(word="word", box_4=np.array([40, 40, 200, 90], np.float32))
        scenes = [rng.integers(0, 255, (480, 640, 3), np.uint8) for _ in range(4)]
        return [TrainingScene(pixels=pixels, words=(word,)) for pixels in scenes]

    return make
