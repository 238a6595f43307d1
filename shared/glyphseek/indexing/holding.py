"""Ids that one thread works on, so that another that wants one of them waits."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager


class HeldIds:
    """The ids that are being worked on in this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[str] = set()

    @contextmanager
    def hold(self, ids: Collection[str]) -> Generator[None]:
        """Wait until none of the ids is held, and hold all of them inside the block. Not reentrant."""
        with self._changed:
            self._changed.wait_for(lambda: self._held.isdisjoint(ids))
            self._held.update(ids)
        try:
            yield
        finally:
            with self._changed:
                self._held.difference_update(ids)
                self._changed.notify_all()
