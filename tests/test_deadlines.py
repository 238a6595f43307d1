from __future__ import annotations

import asyncio
import time

import pytest

from glyphseek.deadlines import deadline_bound, is_time_over, time_left
from glyphseek.errors import DeadlineExceeded


def test_without_a_deadline_a_step_has_all_that_it_wants() -> None:
    assert time_left(3.0) == 3.0
    assert not is_time_over()


def test_a_step_has_what_the_deadline_leaves_when_that_is_less() -> None:
    with deadline_bound(time.monotonic() + 60):
        assert time_left(2.0) == 2.0
        assert 50 < time_left(1000.0) <= 60
        assert not is_time_over()


def test_past_the_deadline_no_step_begins() -> None:
    with deadline_bound(time.monotonic() - 0.001):
        assert is_time_over()
        with pytest.raises(DeadlineExceeded):
            time_left(2.0)


def test_what_must_not_be_cut_in_half_has_no_deadline_and_what_follows_has_it_again() -> None:
    with deadline_bound(time.monotonic() - 1):
        with deadline_bound(None):
            assert time_left(2.0) == 2.0
        assert is_time_over()
    assert not is_time_over()


def test_threads_and_tasks_that_are_started_inherit_the_deadline() -> None:
    async def ask() -> tuple[bool, bool]:
        with deadline_bound(time.monotonic() - 1):
            started = asyncio.create_task(asyncio.to_thread(is_time_over))
        return await started, is_time_over()

    assert asyncio.run(ask()) == (True, False)
