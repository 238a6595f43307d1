"""A pool of rendered samples, filled by other processes while the trainer draws from it.

The renderer and the trainer share a machine. The pool lets the trainer never wait: it reuses samples, a set number of
times on average or as often as the renderer is slower, and forgets the oldest when it is full.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

Sample = TypeVar("Sample")
QUEUED_BATCHES = 8
WORKER_CHECK_S = 5.0
PARENT_CHECK_S = 5.0


class ReplayPool(Generic[Sample]):
    """The latest `capacity` samples that `workers` processes made; sampling is uniform over them.

    `make` is called in each process as make(seed) and must return a function that returns a fresh batch (a list of
    samples) at every call. It and the samples must be picklable.
    """

    def __init__(
        self,
        make: Callable[[int], Callable[[], list[Sample]]],
        *,
        capacity: int,
        workers: int,
        seed: int,
        start_with: int,
        reuse: float,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[list[Sample]] = context.Queue(QUEUED_BATCHES)
        self._workers = [
            context.Process(target=feed, args=(make, [seed, worker], self._queue), daemon=True)
            for worker in range(workers)
        ]
        for worker in self._workers:
            worker.start()
        self._capacity = capacity
        self._samples: list[Sample] = []
        self._next = 0
        self._reuse, self._wanted = reuse, 0.0
        self.received = 0
        while self.received < start_with:
            self._insert(self._wait())

    def draw(self, count: int, rng: np.random.Generator) -> list[Sample]:
        """Return `count` samples after taking in `count / reuse` new ones, as far as they are made already."""
        self._wanted += count / self._reuse
        while self._wanted > 0:
            try:
                batch = self._queue.get_nowait()
            except queue.Empty:
                self._check_workers()
                break
            self._wanted -= len(batch)
            self._insert(batch)
        return [self._samples[i] for i in rng.integers(len(self._samples), size=count)]

    def close(self) -> None:
        """Stop the processes."""
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._queue.close()
        self._queue.cancel_join_thread()

    def _wait(self) -> list[Sample]:
        while True:
            try:
                return self._queue.get(timeout=WORKER_CHECK_S)
            except queue.Empty:
                self._check_workers()

    def _check_workers(self) -> None:
        """Raise RuntimeError when a process has ended: its own traceback is on standard error."""
        for worker in self._workers:
            if worker.exitcode is not None:
                raise RuntimeError(f"renderer process {worker.name} ended with exit code {worker.exitcode}")

    def _insert(self, batch: list[Sample]) -> None:
        for sample in batch:
            if len(self._samples) < self._capacity:
                self._samples.append(sample)
            else:
                self._samples[self._next] = sample
                self._next = (self._next + 1) % self._capacity
        self.received += len(batch)


def feed(
    make: Callable[[int], Callable[[], list[Sample]]], seed: list[int], into: multiprocessing.Queue[list[Sample]]
) -> None:
    """Make batches until the process is stopped or its parent is gone; waits when the queue is full."""
    trainer = os.getppid()
    render = make(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    while os.getppid() == trainer:
        batch = render()
        while os.getppid() == trainer:
            try:
                into.put(batch, timeout=PARENT_CHECK_S)
                break
            except queue.Full:
                continue
    into.cancel_join_thread()
