from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from training.makers import BATCH, break_down, count_up, tell_seed

from glyphseek.training.replay import PARENT_CHECK_S, ReplayPool

DEADLINE_S = 60.0
TESTS = Path(__file__).parents[1]
TRAINER = """
import multiprocessing, time
from training.makers import count_up
from glyphseek.training.replay import ReplayPool

if __name__ == "__main__":
    ReplayPool(count_up, capacity=8, workers=2, seed=0, start_with=4, reuse=1.0)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(600)
"""


@contextmanager
def open_pool(
    make: Callable[[int], Callable[[], list[int]]],
    *,
    capacity: int = 1000,
    workers: int = 1,
    start_with: int = BATCH,
    reuse: float = 1.0,
) -> Generator[ReplayPool[int]]:
    pool = ReplayPool(make, capacity=capacity, workers=workers, seed=0, start_with=start_with, reuse=reuse)
    try:
        yield pool
    finally:
        pool.close()


def wait_until(is_so: Callable[[], bool], *, seconds: float = DEADLINE_S) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"not so after {seconds} s"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Return whether the process exists and is no zombie that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_samples_are_taken_in_as_often_as_reuse_asks() -> None:
    rng = np.random.default_rng(0)
    with open_pool(count_up, reuse=2.0) as pool:
        for _ in range(10):
            assert len(pool.draw(8, rng)) == 8

        wait_until(lambda: pool.draw(0, rng) == [] and pool.received >= BATCH + 40)
        time.sleep(0.2)
        pool.draw(0, rng)

        assert pool.received == BATCH + 80 / 2.0


def test_the_oldest_samples_are_forgotten_when_the_pool_is_full() -> None:
    with open_pool(count_up, capacity=8, start_with=20, reuse=1e9) as pool:
        drawn = pool.draw(400, np.random.default_rng(0))

        assert set(drawn) == set(range(pool.received - 8, pool.received))


def test_drawing_is_repeated_by_the_same_generator() -> None:
    with open_pool(count_up, capacity=8, start_with=8, reuse=1e9) as pool:
        pool.draw(1, np.random.default_rng(0))

        first, second = (pool.draw(20, np.random.default_rng(5)) for _ in range(2))

    assert first == second


def test_every_process_has_its_own_seed() -> None:
    rng = np.random.default_rng(0)
    seen: set[int] = set()
    with open_pool(tell_seed, capacity=40, workers=2) as pool:

        def has_seen_two() -> bool:
            seen.update(pool.draw(8, rng))
            return len(seen) == 2

        wait_until(has_seen_two)


def test_closing_stops_the_processes() -> None:
    before = set(multiprocessing.active_children())
    with open_pool(count_up, workers=2):
        started = set(multiprocessing.active_children()) - before
        assert len(started) == 2

    assert not any(child.is_alive() for child in started)
    assert not started & set(multiprocessing.active_children())


def test_a_process_that_ended_is_an_error_with_its_exit_code() -> None:
    rng = np.random.default_rng(0)
    with open_pool(break_down) as pool, pytest.raises(RuntimeError, match="ended with exit code 3"):
        wait_until(lambda: not pool.draw(BATCH, rng))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_the_processes_end_when_their_trainer_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "shared")])}
    trainer = subprocess.Popen([sys.executable, "-c", TRAINER], stdout=subprocess.PIPE, text=True, env=environment)
    assert trainer.stdout is not None
    with trainer.stdout as told:
        workers = [int(pid) for pid in told.readline().split()]
    assert len(workers) == 2
    assert all(is_running(pid) for pid in workers)

    trainer.send_signal(signal.SIGKILL)
    trainer.wait()

    wait_until(lambda: not any(is_running(pid) for pid in workers), seconds=DEADLINE_S + 2 * PARENT_CHECK_S)
