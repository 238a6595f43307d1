from itertools import count

import pytest

from glyphseek.search import Timings
from glyphseek.search.stopwatch import Stopwatch


def test_steps_that_come_again_are_added_up() -> None:
    ticks = (float(tick) for tick in count())
    watch = Stopwatch(lambda: next(ticks))
    for step in ("fetch", "match", "fetch"):
        with watch.measure(step):
            pass
    assert watch.read() == Timings(encode_ms=0.0, recall_ms=0.0, fetch_ms=2000.0, rerank_ms=0.0, match_ms=1000.0)
    assert watch.read().total_ms == 3000.0


def test_part_of_a_step_may_be_told_to_be_another() -> None:
    ticks = (float(tick) for tick in count())
    watch = Stopwatch(lambda: next(ticks))
    with watch.measure("rerank"):
        watch.move("fetch", of="rerank", milliseconds=300.0)
    assert (watch.read().fetch_ms, watch.read().rerank_ms) == (300.0, 700.0)
    assert watch.read().total_ms == 1000.0


def test_a_step_that_fails_took_its_time() -> None:
    ticks = (float(tick) for tick in count())
    watch = Stopwatch(lambda: next(ticks))
    with pytest.raises(ZeroDivisionError), watch.measure("recall"):
        raise ZeroDivisionError
    assert watch.read().recall_ms == 1000.0
