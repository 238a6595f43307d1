"""Photos side by side: one thread for each, in which torch counts alone.

A convolution of a small network hardly gains from a second thread; a second photo does (docs/decisions/0016). What is
found in a photo depends, by rounding, on how many threads count one operation. Here it is always one, so that a photo
has the same features whatever is encoded beside it, in one call or in several.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2
import torch

T = TypeVar("T")
R = TypeVar("R")

_SETTING = threading.Lock()
"""Held while `_count_alone` changes, for a moment, what belongs to the whole process."""


class PhotoThreads:
    """Threads of one model, as many as torch counts with when this is made; they begin with the first photo.

    On another device than the CPU, and where torch counts with one thread, photos are encoded one at a time, in the
    threads that ask. However many threads ask, no more photos than that are at work, which bounds the memory. The
    threads end with this object. A process that has encoded photos must not be forked: threads do not survive that.

    OpenCV, which shrinks photos beside this, is told to take one thread for each too, in the whole process: its own
    threads wait in busy loops on the cores that photos are encoded on.
    """

    def __init__(self, device: str) -> None:
        cv2.setNumThreads(1)
        self._count = torch.get_num_threads() if torch.device(device).type == "cpu" else 1
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def map(self, encode: Callable[[T], R], photos: Sequence[T]) -> list[R]:
        """Return `encode(photo)` for each, in their order, in inference mode; raises what the first to fail raised.

        Photos that were given first are begun first, by whichever call. After a failure or an interrupt of the caller,
        those that have not begun never do.
        """
        if self._count == 1:
            return [self._encode_here(encode, photo) for photo in photos]
        pool = self._begun()
        futures = [pool.submit(_infer, encode, photo) for photo in photos]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _encode_here(self, encode: Callable[[T], R], photo: T) -> R:
        with self._lock:
            return _infer(encode, photo)

    def _begun(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._count, "glyphseek-photo", _count_alone)
            return self._pool


def _infer(encode: Callable[[T], R], photo: T) -> R:
    with torch.inference_mode():  # a setting of the thread
        return encode(photo)


def _count_alone() -> None:
    """Let torch count with one thread in this thread, which is new. With how many it counts in others stays.

    `torch.set_num_threads` sets that for its own thread, and besides for all threads that have not used torch yet. The
    latter is put back from another thread, so that nothing else of any thread changes.
    """
    with _SETTING:
        before = torch.get_num_threads()  # what new threads count with; asked for first, or the first operation asks
        torch.set_num_threads(1)
        with ThreadPoolExecutor(1) as other:
            other.submit(torch.set_num_threads, before).result()
