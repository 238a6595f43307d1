"""Photos turned and bent as if printed on round signs: their words stand level, those of badges and seals do not."""

from __future__ import annotations

from dataclasses import replace
from math import pi, radians

import numpy as np
import torch

from glyphseek.datasets.scenes.geometry import Bend, Warp, bounds_of, rotation, translation
from glyphseek.models.tdsl.outlines import on_edges, outlines_of
from glyphseek.training.annotated import AnnotatedWord
from glyphseek.training.scenes import TrainingScene
from glyphseek.types import FloatArray

SIDE = 800
"""Pixels of a bent photo's sides."""

ARCS = 0.7
"""Share of photos laid around a circle; the others are turned alone."""

RADII = (0.15, 1.0)
"""Radius of the circle, log-uniform, as a share of the photo's shorter side."""

MOST_TURNED = {True: 100.0, False: 60.0}
"""Degrees by which a photo is turned at most either way: around a circle, or alone."""

READABLE_TO = radians(115.0)
"""A word that runs at a larger angle to the right stands on its head: it is ignored."""

_ALONG = torch.linspace(0.0, 1.0, 7)


def bend_scene(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """Return a scene of SIDE x SIDE pixels: the photo turned, and mostly laid around a circle, a word in its middle.

    Words that are cut, twice as wide or half as wide as they were, or on their heads, are ignored.
    """
    height, width = scene.pixels.shape[:2]
    boxes = [word.box_4 for word in scene.words if word.word is not None]
    middle = boxes[int(rng.integers(len(boxes)))] if boxes else np.array([0, 0, width, height], np.float32)
    origin = float(middle[0] + middle[2]) / 2, float(middle[1] + middle[3]) / 2
    is_arc = bool(rng.random() < ARCS)
    radius = float(np.exp(rng.uniform(*np.log(RADII)))) * min(width, height) * (1 if rng.random() < 0.7 else -1)
    turn = float(rng.uniform(-1, 1)) * MOST_TURNED[is_arc]
    warp = Warp(bend=Bend(radius=radius if is_arc else None), matrix=translation(SIDE / 2, SIDE / 2) @ rotation(turn))
    words = (bend_word(word, warp, np.array(origin, np.float32)) for word in scene.words)
    return TrainingScene(
        pixels=warp.place(scene.pixels, origin, SIDE, SIDE), words=tuple(word for word in words if word is not None)
    )


def bend_word(word: AnnotatedWord, warp: Warp, origin_2: FloatArray) -> AnnotatedWord | None:
    """Return the word as the warp leaves it, without its text where it cannot be read there; None where it is gone."""
    flat_N2 = _edges(word) - origin_2
    is_whole = True
    if (radius := warp.bend.radius) is not None:
        around_N, inwards_N = np.abs(flat_N2[:, 0] / radius), flat_N2[:, 1] / radius
        if around_N.min() >= pi or inwards_N.min() >= 1:
            return None
        is_whole = bool(around_N.max() < pi and inwards_N.min() > -1 and inwards_N.max() < 0.5)
        edge = np.float32(0.999 * pi * abs(radius))
        flat_N2[:, 0] = flat_N2[:, 0].clip(-edge, edge)
        flat_N2[:, 1] = radius * np.minimum(inwards_N, np.float32(0.999))
    points_N2 = warp.apply(flat_N2)
    half = len(points_N2) // 2
    across, down = points_N2[half - 1] - points_N2[0]
    readable = is_whole and abs(float(np.arctan2(down, across))) <= READABLE_TO
    known = word.outline_62 is not None and is_whole
    return replace(
        word,
        word=word.word if readable else None,
        box_4=np.array(bounds_of(points_N2), np.float32),
        letter_ends=None,
        outline_62=points_N2[[0, half // 2, half - 1, half, half + half // 2, -1]] if known else None,
    )


def _edges(word: AnnotatedWord) -> FloatArray:
    """Return seven points of the upper, then seven of the lower edge, both in the order in which the word is read."""
    known = word.outline_62
    outline_162 = outlines_of(torch.from_numpy(word.box_4)[None]) if known is None else torch.from_numpy(known)[None]
    return on_edges(outline_162, _ALONG)[0].flatten(0, 1).numpy()
