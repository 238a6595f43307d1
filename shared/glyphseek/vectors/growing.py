"""An array that grows at its end, while what was handed out before stays as it is."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


class GrowingArray(Generic[_T]):
    """Rows of one array with room for more: adding N rows copies the others only when the room is used up."""

    def __init__(self, rows: NDArray[_T]) -> None:
        """Take over `rows`, an array of one dimension or more."""
        self._room = rows
        self._count = len(rows)

    def rows(self) -> NDArray[_T]:
        """Return the rows there are; later additions do not change what was returned."""
        return self._room[: self._count]

    def add(self, rows: NDArray[_T]) -> None:
        """Add rows at the end."""
        end = self._count + len(rows)
        if end > len(self._room):
            room = np.empty((end + end // 4, *self._room.shape[1:]), dtype=self._room.dtype)
            room[: self._count] = self.rows()
            self._room = room
        self._room[self._count : end] = rows
        self._count = end

    def drop(self, count: int) -> None:
        """Take the last `count` rows away. What was handed out with them is void as soon as others are added."""
        self._count -= count
