"""A writer that is killed at any moment leaves a store that opens, searches correctly and shows whole images only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from contracts.killed_writer import CARD, IMAGES, make_written_record, make_written_vectors

from glyphseek.types import ImageRecord, RowHit
from glyphseek.vectors.memory import MemoryVectorStore
from glyphseek.vectors.milvus import MilvusLiteStore

TESTS = Path(__file__).parent.parent
LIVES = ((1, 0.02), (7, 0.004), (11, 0.0), (14, 0.01), (18, 0.002))  # so many lines, and seconds after the last
QUERIES = np.random.default_rng(0).standard_normal((6, CARD.vector_width)).astype(np.float32)

State = dict[int, ImageRecord | None]


def write_and_kill(folder: Path, *, round_number: int, after_lines: int, after_s: float) -> list[str]:
    """Run the writer, kill it `after_s` seconds after so many lines, and return all that it wrote."""
    command = [sys.executable, "-m", "contracts.killed_writer", str(folder), str(round_number)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(after_lines)]
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return [line.strip() for line in lines if line.endswith("\n")]


def apply_step(state: State, line: str) -> State:
    _, kind, step, *numbers = line.split()
    written = {n: make_written_record(n, int(step)) if kind == "put" else None for n in map(int, numbers)}
    return state | written


def follow(state: State, lines: list[str]) -> tuple[State, State]:
    """Return what must hold after the finished steps, and what may hold instead through the one that was cut off."""
    for line in lines:
        if line.startswith("done"):
            state = apply_step(state, line)
    return state, apply_step(state, lines[-1])


def read_state(store: MilvusLiteStore | MemoryVectorStore) -> State:
    records = {int(record.image_id): record for record in store.scan()}
    return {number: records.get(number) for number in range(IMAGES)}


def read_hits(store: MilvusLiteStore | MemoryVectorStore) -> list[list[tuple[str, int | None]]]:
    def place(hit: RowHit) -> tuple[str, int | None]:
        return hit.image_id, hit.instance

    return [[place(hit) for hit in hits] for hits in store.search(QUERIES, 1000)]


def build_reference(state: State) -> MemoryVectorStore:
    store = MemoryVectorStore(card=CARD)
    records = [record for record in state.values() if record is not None]
    store.put(records, [make_written_vectors(record) for record in records])
    return store


@pytest.mark.timeout(300)
def test_a_store_outlives_writers_that_are_killed_in_the_middle(tmp_path: Path) -> None:
    state: State = dict.fromkeys(range(IMAGES))
    for round_number, (after_lines, after_s) in enumerate(LIVES):
        lines = write_and_kill(tmp_path, round_number=round_number, after_lines=after_lines, after_s=after_s)
        must, may = follow(state, lines)
        store = MilvusLiteStore.open(tmp_path, card=CARD)
        state = read_state(store)
        assert all(found in (must[number], may[number]) for number, found in state.items())
        assert read_hits(store) == read_hits(build_reference(state))
        store.close()
