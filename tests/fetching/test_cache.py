from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from glyphseek.errors import BlobDamaged, BlobError, SettingError, StoreError
from glyphseek.fetching.cache import SingleFlightCache

Outcome = str | BlobError | StoreError


class Loads:
    """Loads a key as its own capitals, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, keys: Sequence[str]) -> Mapping[str, Outcome]:
        self.asked.append(tuple(keys))
        return {key: key.upper() for key in keys}


def cache(capacity: int) -> SingleFlightCache[str]:
    return SingleFlightCache[str](capacity, weigh=len)


def test_values_come_in_the_order_of_the_keys_each_once() -> None:
    load = Loads()
    kept = cache(100)
    assert list(kept.get(["b", "a", "b"], load).items()) == [("b", "B"), ("a", "A")]
    assert list(kept.get(["a", "c", "b"], load)) == ["a", "c", "b"]
    assert load.asked == [("b", "a"), ("c",)]


def test_what_was_asked_for_longest_ago_is_let_go_first() -> None:
    load = Loads()
    kept = cache(6)
    kept.get(["aa", "bb", "cc"], load)
    kept.get(["aa"], load)
    kept.get(["dd"], load)
    assert kept.stats().held_bytes == 6
    kept.get(["aa", "cc", "dd"], load)
    assert load.asked == [("aa", "bb", "cc"), ("dd",)]
    kept.get(["bb"], load)
    assert load.asked[-1] == ("bb",)
    assert kept.stats().evicted == 2


def test_a_value_over_the_capacity_is_passed_on_and_pushes_nothing_out() -> None:
    load = Loads()
    kept = cache(4)
    kept.get(["aa"], load)
    assert kept.get(["bbbbb"], load) == {"bbbbb": "BBBBB"}
    assert kept.get(["aa"], load) == {"aa": "AA"}
    assert load.asked == [("aa",), ("bbbbb",)]


def test_without_capacity_every_request_loads() -> None:
    load = Loads()
    kept = cache(0)
    assert [kept.get(["a"], load) for _ in range(2)] == [{"a": "A"}] * 2
    assert len(load.asked) == 2
    assert kept.stats().kept == 0


def test_failures_are_answers_that_are_not_kept() -> None:
    damaged = BlobDamaged("no blob")
    kept = cache(100)
    assert kept.get(["a"], lambda keys: dict.fromkeys(keys, damaged)) == {"a": damaged}
    assert kept.get(["a"], Loads()) == {"a": "A"}


def test_concurrent_misses_of_one_key_cause_one_load() -> None:
    kept = cache(100)
    is_loading, may_end = threading.Event(), threading.Event()
    asked: list[tuple[str, ...]] = []

    def load_slowly(keys: Sequence[str]) -> Mapping[str, Outcome]:
        asked.append(tuple(keys))
        is_loading.set()
        assert may_end.wait(10)
        return {key: key.upper() for key in keys}

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(kept.get, ["a", "b"], load_slowly)
        assert is_loading.wait(10)
        others = [threads.submit(kept.get, ["a"], load_slowly) for _ in range(7)]
        while kept.stats().joined < 7:
            threading.Event().wait(0.001)
        may_end.set()
        assert first.result(10) == {"a": "A", "b": "B"}
        assert [one.result(10) for one in others] == [{"a": "A"}] * 7
    assert asked == [("a", "b")]


def test_threads_that_wait_for_several_loads_get_all_of_them() -> None:
    kept = cache(100)
    both_load = threading.Barrier(2)

    def load(keys: Sequence[str]) -> Mapping[str, Outcome]:
        both_load.wait(10)
        while kept.stats().joined < 4:  # by now two more threads wait for both keys
            threading.Event().wait(0.001)
        return {key: key.upper() for key in keys}

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(kept.get, keys, load) for keys in (["a"], ["b"], ["a", "b"], ["b", "a"])]
        assert [list(one.result(10).values()) for one in asked] == [["A"], ["B"], ["A", "B"], ["B", "A"]]


def test_what_a_load_raises_reaches_all_that_wait_and_blocks_nothing() -> None:
    kept = cache(100)
    is_loading, may_end = threading.Event(), threading.Event()

    def fail(keys: Sequence[str]) -> Mapping[str, Outcome]:
        is_loading.set()
        assert may_end.wait(10)
        raise MemoryError("no room")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(kept.get, ["a"], fail)
        assert is_loading.wait(10)
        second = threads.submit(kept.get, ["a"], fail)
        while kept.stats().joined < 1:
            threading.Event().wait(0.001)
        may_end.set()
        for one in (first, second):
            with pytest.raises(MemoryError, match="no room"):
                one.result(10)
    assert kept.get(["a"], Loads()) == {"a": "A"}


def test_many_threads_over_few_bytes_get_what_they_ask_for_and_stay_within_bounds() -> None:
    kept = cache(40)
    keys = [f"key{number:02d}" for number in range(20)]

    def ask(start: int) -> bool:
        asked = [keys[(start * 7 + step) % 20] for step in range(6)]
        return kept.get(asked, Loads()) == {key: key.upper() for key in asked} and kept.stats().held_bytes <= 40

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(400)))


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(SettingError, match="-1 bytes"):
        cache(-1)


def test_a_value_is_loaded_again_when_its_lifetime_is_over() -> None:
    now = [0.0]
    load = Loads()
    kept = SingleFlightCache[str](
        100, weigh=len, lifetime_s=lambda key: 5.0 if key == "short" else 50.0, clock=lambda: now[0]
    )
    for now[0] in (0.0, 4.9, 5.0, 9.9, 10.0):
        kept.get(["short", "long"], load)
    assert load.asked == [("short", "long"), ("short",), ("short",)]
    assert (kept.stats().kept, kept.stats().held_bytes) == (2, len("short") + len("long"))


def test_a_value_that_another_thread_loads_is_waited_for_no_longer_than_there_is_time() -> None:
    began, may_end = threading.Event(), threading.Event()

    def load(keys: Sequence[str]) -> Mapping[str, Outcome]:
        began.set()
        assert may_end.wait(20)
        return {key: key.upper() for key in keys}

    kept = cache(100)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(kept.get, ["a"], load)
        assert began.wait(20)
        late = kept.get(["a", "b"], Loads(), timeout_s=0.05)
        may_end.set()
        assert first.result(20) == {"a": "A"}
    assert isinstance(late["a"], StoreError)
    assert late["b"] == "B"
    assert kept.get(["a"], Loads(), timeout_s=0.0) == {"a": "A"}
