import pytest

from glyphseek.errors import Overloaded, StoreFull, StoreUnavailable
from glyphseek_indexer.retrying import Again, Patience, judge_failure


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def read(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_patience_ends_after_its_seconds_and_begins_anew_with_an_answer() -> None:
    clock = Clock()
    patience = Patience(seconds=20.0, clock=clock.read, sleep=clock.sleep)

    waits = 0
    while patience.wait():
        waits += 1
    assert waits > 4
    assert 110.0 < clock.now_s <= 120.0
    assert not patience.wait()

    patience.renew()
    before_s = clock.now_s
    assert patience.wait()
    assert clock.now_s - before_s < 1.0


def test_time_that_the_store_kept_the_worker_waiting_counts() -> None:
    clock = Clock()
    patience = Patience(seconds=20.0, clock=clock.read, sleep=clock.sleep)

    assert patience.wait()
    clock.now_s += 20.0  # of a try that came to nothing
    assert not patience.wait()


@pytest.mark.parametrize("error", [StoreUnavailable("no answer"), StoreFull("no space"), Overloaded("too much")])
def test_what_a_store_or_service_fails_at_is_no_fault_of_a_photo(error: Exception) -> None:
    assert judge_failure(error) is Again.ALWAYS


def test_any_other_error_may_be() -> None:
    assert judge_failure(ValueError("odd")) is Again.ONCE
