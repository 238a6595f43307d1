from itertools import count

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


def test_a_time_measured_elsewhere_is_added() -> None:
    watch = Stopwatch(lambda: 0.0)
    watch.add("rerank", 1.5)
    watch.add("rerank", 2.0)
    assert watch.read().rerank_ms == 3.5
