from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from glyphseek.indexing.pipeline import BoundedLine, CallsAhead, map_ahead


def test_results_come_in_the_order_of_the_items_whatever_finishes_first() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(10)
        if item == 3:
            first_may_end.set()
        return item * item

    with ThreadPoolExecutor(4) as executor:
        assert list(map_ahead(executor, work, range(8), ahead=4)) == [item * item for item in range(8)]


def test_no_more_than_the_bound_is_taken_from_the_items() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with ThreadPoolExecutor(2) as executor:
        results = map_ahead(executor, lambda item: item, items(), ahead=5)
        assert next(results) == 0
        assert len(taken) == 5
        results.close()


def test_closing_cancels_what_has_not_begun() -> None:
    begun: list[int] = []
    may_end = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item > 0:
            assert may_end.wait(10)
        return item

    with ThreadPoolExecutor(1) as executor:
        results = map_ahead(executor, work, range(100), ahead=10)
        assert next(results) == 0
        results.close()
        may_end.set()
    assert len(begun) <= 2


def test_an_error_of_the_function_is_raised_in_its_place() -> None:
    def work(item: int) -> float:
        return 1 / (item - 2)

    with ThreadPoolExecutor(2) as executor:
        results = map_ahead(executor, work, range(5), ahead=3)
        assert [next(results), next(results)] == [-0.5, -1.0]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_results_of_calls_come_in_order_once_the_bound_is_under_way() -> None:
    second_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert second_may_end.wait(10)
        return item * item

    with ThreadPoolExecutor(2) as executor:
        ahead = CallsAhead(executor, work, bound=2)
        assert ahead.call(0) == []
        assert ahead.call(1) == [0]
        second_may_end.set()
        assert ahead.call(2) == [1]
        assert list(ahead.rest()) == [4]
        assert list(ahead.rest()) == []


def test_after_a_failure_the_results_of_other_calls_are_rescued() -> None:
    def work(item: int) -> float:
        return 1 / (item - 1)

    with ThreadPoolExecutor(3) as executor:
        ahead = CallsAhead(executor, work, bound=3)
        assert [*ahead.call(0), *ahead.call(1), *ahead.call(2)] == [-1.0]
        with pytest.raises(ZeroDivisionError):
            ahead.call(3)
        with pytest.raises(ZeroDivisionError):
            next(ahead.rest())
        assert list(ahead.rescue()) == [1.0, 0.5]


def test_jobs_of_a_line_are_done_in_order_and_the_last_one_last() -> None:
    done: list[int] = []
    with ThreadPoolExecutor(1) as executor:
        line = BoundedLine(executor, bound=2)
        for number in range(10):
            line.submit(lambda number=number: done.append(number))
        line.finish(lambda: done.append(99))
    assert done == [*range(10), 99]


def test_a_line_raises_the_error_of_a_job_and_does_its_last_job_all_the_same() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    with ThreadPoolExecutor(1) as executor:
        line = BoundedLine(executor, bound=2)
        line.submit(fail)
        with pytest.raises(OSError, match="full"):
            line.finish(lambda: done.append(99))
    assert done == [99]


def test_a_full_line_waits_for_its_oldest_job() -> None:
    gate = threading.Event()

    def wait() -> None:
        assert gate.wait(10)

    with ThreadPoolExecutor(1) as executor:
        line = BoundedLine(executor, bound=1)
        line.submit(wait)
        waiter = threading.Thread(target=line.submit, args=(lambda: None,))
        waiter.start()
        waiter.join(0.05)
        assert waiter.is_alive()
        gate.set()
        waiter.join(10)
        assert not waiter.is_alive()
