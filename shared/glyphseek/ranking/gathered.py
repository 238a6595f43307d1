"""The words of several images in one row, so that a term is compared with all of them at once.

I images, N instances of all of them together, T terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glyphseek.errors import InputError
from glyphseek.types import FloatArray, LetterArray, QueryVectors


class ImageWords(Protocol):
    """The words of one image as ranking needs them: `Instances`, or those of a blob as they lie there."""

    @property
    def boxes_N4(self) -> FloatArray:
        """Return the boxes as fractions of the image."""
        ...

    @property
    def scores_N(self) -> FloatArray:
        """Return the detector's confidence."""
        ...

    @property
    def letters_NSA(self) -> LetterArray | None:
        """Return what each column shows; None of a model without letters."""
        ...

    def __len__(self) -> int: ...

    def products(self, query: QueryVectors) -> FloatArray:
        """Return the (N, V) inner products of their vectors with the query's."""
        ...


class Gathered:
    """The instances of images, one image's behind the other's. `places` has where each image begins, and the end."""

    def __init__(self, images: Sequence[ImageWords]) -> None:
        self.images = images
        counts_I = np.array([len(one) for one in images], dtype=np.intp)
        self.places = np.concatenate([np.zeros(1, np.intp), counts_I.cumsum()])
        self.image_of_N: NDArray[np.intp] = np.repeat(np.arange(len(images)), counts_I)
        self._letters_NSA: LetterArray | None = None

    def __len__(self) -> int:
        return int(self.places[-1])

    def part(self, image: int) -> slice:
        """Return the places of one image's instances."""
        return slice(int(self.places[image]), int(self.places[image + 1]))

    def scores(self) -> FloatArray:
        """Return (N,) the detector's confidence."""
        return np.concatenate([np.empty(0, np.float32), *(one.scores_N for one in self.images)])

    def boxes(self) -> FloatArray:
        """Return (N, 4) the boxes as fractions of their images."""
        return np.concatenate([np.empty((0, 4), np.float32), *(one.boxes_N4 for one in self.images)])

    def letters(self) -> LetterArray:
        """Return (N, S, A) what their columns show, gathered once. Raises InputError for an image without letters."""
        if self._letters_NSA is None:
            self._letters_NSA = np.concatenate([_letters_of(one) for one in self.images])
        return self._letters_NSA

    def products(self, vectors_VD: FloatArray) -> FloatArray:
        """Return the (N, V) inner products of all vectors with others.

        Each image is compared by itself, so that what is said of it does not depend on the others.
        """
        query = QueryVectors.of(vectors_VD)
        none = np.empty((0, len(vectors_VD)), dtype=np.float32)
        return np.concatenate([none, *(one.products(query) for one in self.images)])

    def best(self, similarities_TN: FloatArray) -> FloatArray:
        """Return (T, I), the largest of each image, at least -1, which one without instances has."""
        return np.maximum(self._largest(similarities_TN), np.float32(-1.0))

    def likeliest(self, values_N: FloatArray, most: int, *, least: float) -> NDArray[np.intp]:
        """Return the places of the `most` largest values of each image, largest first, ties in order.

        Of them the first, whatever it is, and those of at least `least`.
        """
        largest_I = self._largest(values_N[None])[0]
        worth = np.flatnonzero((values_N >= least) | (values_N == largest_I[self.image_of_N]))
        order = worth[np.lexsort((-values_N[worth], self.image_of_N[worth]))]
        images = self.image_of_N[order]
        ranks = np.arange(len(order)) - np.searchsorted(images, images)
        return order[(ranks == 0) | ((ranks < most) & (values_N[order] >= least))]

    def _largest(self, values_TN: FloatArray) -> FloatArray:
        """Return (T, I), minus infinity for an image without instances."""
        largest_TI = np.full((len(values_TN), len(self.images)), -np.inf, dtype=np.float32)
        has_any_I = np.diff(self.places) > 0
        if has_any_I.any():
            largest_TI[:, has_any_I] = np.maximum.reduceat(values_TN, self.places[:-1][has_any_I], axis=1)
        return largest_TI


def _letters_of(image: ImageWords) -> LetterArray:
    if image.letters_NSA is None:
        raise InputError("the instances of an image have no letters")
    return image.letters_NSA
