from __future__ import annotations

import numpy as np
import pytest

from glyphseek.datasets.scenes.geometry import Bend, Warp, frame_points, project, rotation, scaling, tilt, translation

BENDS = (
    Bend(),
    Bend(radius=120.0),
    Bend(radius=-90.0),
    Bend(amplitude=7.0, wavelength=80.0, phase=1.0),
    Bend(radius=150.0, amplitude=4.0, wavelength=60.0),
)


@pytest.mark.parametrize("bend", BENDS)
def test_undoing_a_bend_gives_the_flat_points_back(bend: Bend) -> None:
    flat = np.random.default_rng(0).uniform((-100, -30), (100, 30), (200, 2)).astype(np.float32)
    bent = bend.apply(flat)
    x, y = bend.undo(bent[:, 0], bent[:, 1])
    np.testing.assert_allclose(np.stack([x, y], axis=1), flat, atol=0.01)


def test_an_arc_keeps_the_length_of_its_baseline() -> None:
    along = np.stack([np.linspace(-80, 80, 400), np.zeros(400)], axis=1).astype(np.float32)
    bent = Bend(radius=100.0).apply(along)
    assert np.linalg.norm(np.diff(bent, axis=0), axis=1).sum() == pytest.approx(160, abs=0.05)


def test_a_positive_radius_lowers_the_ends_and_a_negative_one_lifts_them() -> None:
    ends = np.array([[-60, 0], [60, 0]], np.float32)
    assert (Bend(radius=100.0).apply(ends)[:, 1] > 5).all()
    assert (Bend(radius=-100.0).apply(ends)[:, 1] < -5).all()


def test_matrices_do_what_their_names_say() -> None:
    point = np.array([[2.0, 0.0]], np.float32)
    np.testing.assert_allclose(project(rotation(90), point), [[0, 2]], atol=1e-6)
    np.testing.assert_allclose(project(scaling(3, 1), point), [[6, 0]])
    np.testing.assert_allclose(project(translation(1, 5), point), [[3, 5]])
    np.testing.assert_allclose(project(tilt(0.5, 0, 2), point), [[4 / 3, 0]], atol=1e-6)


@pytest.mark.parametrize("bend", BENDS)
def test_a_dot_of_the_mask_lands_where_its_point_does(bend: Bend) -> None:
    mask = np.zeros((61, 161), np.uint8)
    mask[18:23, 118:123] = 255
    warp = Warp(bend=bend, matrix=translation(150, 150) @ rotation(20) @ scaling(1.3, 1.3))
    placed = warp.place(mask, (80, 30), 300, 300).astype(np.float64)
    ys, xs = np.mgrid[:300, :300]
    centre = np.array([(xs * placed).sum(), (ys * placed).sum()]) / placed.sum()
    expected = warp.apply(np.array([[40, -10]], np.float32))[0]
    np.testing.assert_allclose(centre, expected, atol=0.6)


def test_a_frame_runs_along_the_top_and_back_along_the_bottom() -> None:
    frame = frame_points((0, 0, 4, 2), 2)
    assert frame.tolist() == [[0, 0], [2, 0], [4, 0], [4, 2], [2, 2], [0, 2]]
