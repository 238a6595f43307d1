"""Windows of scenes, scaled so that the text in them has the height that the trunk reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glyphseek.training.scenes import TrainingScene, cut_scene

TEXT_HEIGHTS = (9.0, 26.0)
"""Height in pixels, log-uniform, that the word gets which a window is made for."""
LARGEST_SCALE = 1.6
RANDOM_SHARE = 0.1
"""Share of windows at a random scale and place, so that what is no text is seen too."""
RANDOM_SCALES = (0.3, 1.0)
LEAST_VISIBLE = 0.97
"""A word that the window cuts has its middle elsewhere: it is ignored."""
LEAST_FILLED = 0.6
"""A scene that shrinks to less than this share of the window is drawn again, a few times: padding teaches nothing."""
DRAWS = 6


def cut_window(scene: TrainingScene, side: int, rng: np.random.Generator) -> TrainingScene:
    """Return a `side` x `side` window of the scene in which, mostly, one word has a height of `TEXT_HEIGHTS`."""
    legible = [word.box_4 for word in scene.words if word.word is not None]
    if not legible or rng.random() < RANDOM_SHARE:
        return cut_scene(scene, side, draw_log(rng, RANDOM_SCALES), rng, least_visible=LEAST_VISIBLE)
    box, scale = draw_view(legible, rng)
    for _ in range(DRAWS - 1):
        if np.minimum(np.array(scene.pixels.shape[:2]) * scale, side).prod() >= LEAST_FILLED * side**2:
            break
        box, scale = draw_view(legible, rng)
    return cut_scene(scene, side, scale, rng, around=box, least_visible=LEAST_VISIBLE)


def draw_view(boxes: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """Return one of the boxes and the scale that gives its text a height of `TEXT_HEIGHTS`."""
    box = boxes[int(rng.integers(len(boxes)))]
    return box, min(LARGEST_SCALE, draw_log(rng, TEXT_HEIGHTS) / max(1.0, text_height(box)))


def text_height(box_4: NDArray[np.float32]) -> float:
    """Return the height of the letters in a box: its shorter side."""
    return float(min(box_4[2] - box_4[0], box_4[3] - box_4[1]))


def draw_log(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Return a log-uniform number between the bounds."""
    return float(np.exp(rng.uniform(*np.log(bounds))))
