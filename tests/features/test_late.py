from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from glyphseek.deadlines import deadline_bound
from glyphseek.errors import StoreError, StoreUnavailable
from glyphseek.features.late import ClosableFeatures, LateFeatures
from glyphseek.features.memory import MemoryFeatureStore


class Connected(MemoryFeatureStore):
    def get_each(self, keys: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        return list(self.get(keys))

    def close(self) -> None:
        pass


def test_a_store_is_connected_with_the_first_call_and_after_a_failure_with_the_next() -> None:
    attempts: list[int] = []

    def connect() -> ClosableFeatures:
        attempts.append(1)
        if len(attempts) == 1:
            raise StoreUnavailable("not yet")
        return Connected()

    late = LateFeatures(connect)
    assert attempts == []
    with pytest.raises(StoreUnavailable, match="not yet"):
        late.get(["a"])
    late.put("a", b"1")
    assert late.get_each(["a"]) == [b"1"]
    assert len(attempts) == 2


def test_who_waits_for_another_thread_to_connect_waits_no_longer_than_its_caller() -> None:
    began, may_end = threading.Event(), threading.Event()

    def connect() -> ClosableFeatures:
        began.set()
        assert may_end.wait(20)
        return Connected()

    late = LateFeatures(connect)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(late.get, ["a"])
        assert began.wait(20)
        with deadline_bound(time.monotonic() + 0.05), pytest.raises(StoreUnavailable, match="still being connected"):
            late.get(["a"])
        may_end.set()
        assert first.result(20) == [None]
    assert late.get(["a"]) == [None]
