"""Where a flat piece of text lands in the picture: an optional bend of its baseline, then a homography.

All points are (n, 2) float32 (x, y), y down. Flat text has its origin in the middle of the word, in mask pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from glyphseek.types import FloatArray

Matrix = NDArray[np.float64]
"""(3, 3) homography; the bottom right element is not zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """How a straight baseline is bent. A radius of None and an amplitude of 0 leave it straight.

    radius: signed, in mask pixels; the baseline follows a circle whose centre is `radius` below (negative: above).
    amplitude, wavelength: a sine of that height, in mask pixels; phase in radians.
    """

    radius: float | None = None
    amplitude: float = 0.0
    wavelength: float = 100.0
    phase: float = 0.0

    @property
    def is_straight(self) -> bool:
        """Return whether the bend changes nothing."""
        return self.radius is None and self.amplitude == 0.0

    def apply(self, points_N2: FloatArray) -> FloatArray:
        """Return flat points moved to the bent plane."""
        x, y = points_N2[:, 0].astype(np.float64), points_N2[:, 1].astype(np.float64)
        if self.amplitude:
            y = y + self.amplitude * np.sin(x * (2 * np.pi / self.wavelength) + self.phase)
        if self.radius is not None:
            angle = x / self.radius
            x, y = (self.radius - y) * np.sin(angle), self.radius - (self.radius - y) * np.cos(angle)
        return np.stack([x, y], axis=1).astype(np.float32)

    def undo(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the flat coordinates of points of the bent plane; the exact inverse of `apply` within half a turn."""
        flat_x, flat_y = x, y
        if self.radius is not None:
            side = np.float32(1.0 if self.radius > 0 else -1.0)
            down = (np.float32(self.radius) - y) * side
            flat_x = np.float32(self.radius) * np.arctan2(x * side, down)
            flat_y = np.float32(self.radius) - side * np.hypot(x, down)
        if self.amplitude:
            turns = flat_x * np.float32(2 * np.pi / self.wavelength) + np.float32(self.phase)
            flat_y = flat_y - np.float32(self.amplitude) * np.sin(turns)
        return flat_x, flat_y


@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """The whole way from flat text to picture pixels."""

    bend: Bend
    matrix: Matrix

    def apply(self, points_N2: FloatArray) -> FloatArray:
        """Return flat points as picture points."""
        return project(self.matrix, self.bend.apply(points_N2))

    def followed_by(self, matrix: Matrix) -> Warp:
        """Return this warp with one more homography at the end."""
        return Warp(bend=self.bend, matrix=matrix @ self.matrix)

    def place(self, mask: NDArray[np.uint8], origin: tuple[float, float], height: int, width: int) -> NDArray[np.uint8]:
        """Return the (height, width) picture of a flat mask; `origin` is the mask pixel that is the flat (0, 0)."""
        shift = np.array([[1, 0, -origin[0]], [0, 1, -origin[1]], [0, 0, 1.0]])
        if self.bend.is_straight:
            placed = cv2.warpPerspective(mask, self.matrix @ shift, (width, height), flags=cv2.INTER_LINEAR)
            return placed.astype(np.uint8, copy=False)
        bent_x, bent_y = _grid_through(np.linalg.inv(self.matrix).astype(np.float64), height, width)
        flat_x, flat_y = self.bend.undo(bent_x, bent_y)
        mask_x, mask_y = flat_x + np.float32(origin[0]), flat_y + np.float32(origin[1])
        return cv2.remap(mask, mask_x, mask_y, cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def project(matrix: Matrix, points_N2: FloatArray) -> FloatArray:
    """Return points through a homography."""
    moved = points_N2.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return (moved[:, :2] / moved[:, 2:]).astype(np.float32)


def rotation(degrees: float) -> Matrix:
    """Return a turn about the origin, clockwise on the screen for positive angles."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def scaling(x: float, y: float) -> Matrix:
    """Return a stretch about the origin."""
    return np.diag([x, y, 1.0])


def translation(x: float, y: float) -> Matrix:
    """Return a shift."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def shear(across: float) -> Matrix:
    """Return a slant: x grows by `across` for each unit of y."""
    return np.array([[1, across, 0], [0, 1, 0], [0, 0, 1.0]])


def tilt(x: float, y: float, extent: float) -> Matrix:
    """Return a perspective: at distance `extent` from the origin along an axis the depth changes by that share."""
    return np.array([[1, 0, 0], [0, 1, 0], [x / extent, y / extent, 1.0]])


def frame_points(box: tuple[float, float, float, float], steps: int) -> FloatArray:
    """Return the outline of a flat box: `steps` + 1 points along its top, then as many back along its bottom."""
    return frames_points(np.array([box]), steps)[0]


def frames_points(boxes_N4: NDArray[np.floating], steps: int) -> FloatArray:
    """Return the outlines of flat (left, top, right, bottom) boxes as `frame_points` does: (N, 2 * steps + 2, 2)."""
    left, top, right, bottom = np.hsplit(boxes_N4, 4)
    xs = left + (right - left) * np.linspace(0, 1, steps + 1)
    frames = np.empty((len(boxes_N4), 2 * steps + 2, 2), np.float32)
    frames[:, : steps + 1, 0], frames[:, : steps + 1, 1] = xs, top
    frames[:, steps + 1 :, 0], frames[:, steps + 1 :, 1] = xs[:, ::-1], bottom
    return frames


def bounds_of(points_N2: FloatArray) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of points."""
    xs, ys = points_N2[:, 0], points_N2[:, 1]
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def _grid_through(matrix: Matrix, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Return x and y, (height, width) each, of every pixel centre through a homography."""
    m = matrix.astype(np.float32)
    xs = np.arange(width, dtype=np.float32)[None, :]
    ys = np.arange(height, dtype=np.float32)[:, None]
    depth = m[2, 0] * xs + (m[2, 1] * ys + m[2, 2])
    x = (m[0, 0] * xs + (m[0, 1] * ys + m[0, 2])) / depth
    y = (m[1, 0] * xs + (m[1, 1] * ys + m[1, 2])) / depth
    return x, y
