from __future__ import annotations

import cv2
import numpy as np

from glyphseek.datasets.scenes.bends import draw_matrix
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.geometry import translation
from glyphseek.datasets.scenes.supports import Run, Support, SupportMaker
from glyphseek.datasets.scenes.words import WordSource
from glyphseek.types import FloatArray

SIDE = 700


def seen_runs(maker: SupportMaker, index: int) -> tuple[Support, list[Run]]:
    """Return a support and its runs as they lie in a picture of SIDE x SIDE pixels, wholly inside."""
    rng = np.random.default_rng([11, index])
    support = maker.draw(rng, 320, 240)
    left, top, right, bottom = support.bounds
    matrix = translation(SIDE / 2, SIDE / 2) @ draw_matrix(rng, right - left, bottom - top, 0.5)
    return support, [run.followed_by(matrix) for run in support.runs]


def filled(polygons: list[FloatArray]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 1)
    return mask


def test_polygons_cover_the_ink_of_their_words(fonts: FontBook, words: WordSource) -> None:
    maker = SupportMaker(fonts=fonts, words=words)
    for index in range(60):
        for run in seen_runs(maker, index)[1]:
            alpha = run.warp.place(run.block.mask, run.origin, SIDE, SIDE)
            inside = cv2.dilate(filled(list(run.outlines())), np.ones((5, 5), np.uint8))
            assert (alpha[inside == 0] > 128).sum() <= 0.002 * (alpha > 128).sum()


def test_polygons_are_tight(fonts: FontBook, words: WordSource) -> None:
    """No word's polygon is much larger than its ink: ink comes near each of its four sides."""
    maker = SupportMaker(fonts=fonts, words=words)
    for index in range(40):
        for run in seen_runs(maker, index)[1]:
            ink = run.warp.place(run.block.mask, run.origin, SIDE, SIDE) > 60
            for outline in run.outlines():
                if np.ptp(outline, axis=0).min() < 12:
                    continue
                half = len(outline) // 2
                upper, lower = outline[:half], outline[half:]
                for edge in (upper, lower, np.array([lower[-1], upper[0]]), np.array([upper[-1], lower[0]])):
                    near = np.zeros((SIDE, SIDE), np.uint8)
                    cv2.polylines(near, [np.rint(edge).astype(np.int32)], False, 1, 9)
                    assert ink[near > 0].any()


def test_polygons_run_clockwise_from_the_top_left(fonts: FontBook, words: WordSource) -> None:
    maker = SupportMaker(fonts=fonts, words=words)
    for index in range(30):
        support, runs = seen_runs(maker, index)
        assert [run.texts for run in runs] == [run.texts for run in support.runs]
        for run in runs:
            for outline in run.outlines():
                x, y = outline.astype(np.float64).T
                assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


def test_a_plate_holds_all_of_its_text(fonts: FontBook, words: WordSource) -> None:
    maker = SupportMaker(fonts=fonts, words=words)
    plated = 0
    for index in range(80):
        support = maker.draw(np.random.default_rng([12, index]), 300, 200)
        if support.outline is None:
            continue
        plated += 1
        (left, top), (right, bottom) = support.outline.min(axis=0), support.outline.max(axis=0)
        for run in support.runs:
            box = run.bounds()
            assert left - 1 <= box[0]
            assert top - 1 <= box[1]
            assert right + 1 >= box[2]
            assert bottom + 1 >= box[3]
    assert plated > 30


def test_words_run_around_most_of_a_seal_and_an_inner_plate_leaves_them_room(
    fonts: FontBook, words: WordSource
) -> None:
    maker = SupportMaker(fonts=fonts, words=words)
    spans: list[float] = []
    for index in range(40):
        seal = maker.seal(np.random.default_rng([12, index]), 320, 320)
        first = seal.runs[0].outlines()
        angles = np.unwrap(np.arctan2(first[..., 0], -first[..., 1]).ravel())
        spans.append(float(np.ptp(angles)))
        if seal.inner is not None:
            assert seal.outline is not None
            rim = np.linalg.norm(first.reshape(-1, 2), axis=1).min()
            assert np.linalg.norm(seal.inner, axis=1).max() < rim + 1
            assert rim < np.linalg.norm(seal.outline, axis=1).max()
    assert max(spans) > 4.5  # radians: well up and down the sides
    assert float(np.mean(spans)) > 2.5
