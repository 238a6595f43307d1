"""Windows of scenes, scaled so that the text in them has the height that the trunk reads."""

from __future__ import annotations

import numpy as np

from glyphseek.training.scenes import TrainingScene, cut_scene

TEXT_HEIGHTS = (8.0, 26.0)
"""Height in pixels, log-uniform, that the word gets which a window is made for."""
LARGEST_SCALE = 1.6
RANDOM_SHARE = 0.15
"""Share of windows at a random scale and place, so that what is no text is seen too."""
RANDOM_SCALES = (0.15, 1.0)


def cut_window(scene: TrainingScene, side: int, rng: np.random.Generator) -> TrainingScene:
    """Return a `side` x `side` window of the scene in which, mostly, one word has a height of `TEXT_HEIGHTS`."""
    legible = [word for word in scene.words if word.word is not None]
    if not legible or rng.random() < RANDOM_SHARE:
        return cut_scene(scene, side, draw_log(rng, RANDOM_SCALES), rng)
    box = legible[int(rng.integers(len(legible)))].box_4
    height = float(min(box[2] - box[0], box[3] - box[1]))
    scale = min(LARGEST_SCALE, draw_log(rng, TEXT_HEIGHTS) / max(1.0, height))
    return cut_scene(scene, side, scale, rng, around=box)


def draw_log(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Return a log-uniform number between the bounds."""
    return float(np.exp(rng.uniform(*np.log(bounds))))
