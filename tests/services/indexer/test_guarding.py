from collections.abc import Callable, Sequence

import pytest

from glyphseek.errors import StoreFull, StoreUnavailable
from glyphseek.indexing import Skip
from glyphseek_indexer.guarding import LOST, Attempts, Guard
from glyphseek_indexer.retrying import Again, Patience


class Killed(BaseException):
    """What stands for the death of a worker: nothing in the guard may catch it."""


def make_guard(
    book: Attempts, work: Callable[[Sequence[str]], list[str]], *, patience_s: float = 0.0
) -> Guard[str, str]:
    def leave_out(item: str, skip: Skip, again: Again) -> str:
        return f"{item}: {skip.kind} {again}"

    waits = Patience(seconds=patience_s, clock=lambda: 0.0, sleep=lambda seconds: None)
    return Guard(stage="reading", book=book, name_of=str, work=work, leave_out=leave_out, patience=waits)


def do_until_it_lives(guard: Guard[str, str], items: Sequence[str], *, most: int = 20) -> list[str]:
    """Give the batch to one worker after the other, as Ray does."""
    for _ in range(most):
        try:
            return guard.run(items)
        except Killed:
            continue
    raise AssertionError("it never ends")


def test_a_batch_is_done_at_once_and_in_order() -> None:
    batches: list[Sequence[str]] = []

    def work(items: Sequence[str]) -> list[str]:
        batches.append(items)
        return [item.upper() for item in items]

    assert make_guard(Attempts(), work).run(["a", "b"]) == ["A", "B"]
    assert batches == [["a", "b"]]


def test_a_photo_that_kills_every_worker_is_left_out_and_its_neighbours_are_not() -> None:
    deaths = 0

    def work(items: Sequence[str]) -> list[str]:
        nonlocal deaths
        if "poison" in items:
            deaths += 1
            raise Killed
        return [item.upper() for item in items]

    results = do_until_it_lives(make_guard(Attempts(), work), ["a", "poison", "b"])

    assert results == ["A", f"poison: {LOST} never", "B"]
    assert deaths == 4


def test_a_worker_that_is_killed_now_and_then_costs_no_photo() -> None:
    left = 3

    def work(items: Sequence[str]) -> list[str]:
        nonlocal left
        if left:
            left -= 1
            raise Killed
        return list(items)

    assert do_until_it_lives(make_guard(Attempts(), work), ["a", "b"]) == ["a", "b"]


def test_deaths_in_the_past_do_not_count_against_a_batch_that_was_done() -> None:
    book, is_dying = Attempts(), True

    def work(items: Sequence[str]) -> list[str]:
        if is_dying:
            raise Killed
        return list(items)

    guard = make_guard(book, work)
    with pytest.raises(Killed):
        guard.run(["a"])
    is_dying = False
    assert guard.run(["a"]) == ["a"]
    assert book.begin("reading/together/a") == 0


@pytest.mark.parametrize(
    ("error", "again"),
    [(StoreUnavailable("no answer"), "always"), (StoreFull("no space"), "always"), (ValueError("odd"), "once")],
)
def test_an_error_leaves_out_the_batch_for_another_try_and_the_worker_goes_on(error: Exception, again: str) -> None:
    def work(items: Sequence[str]) -> list[str]:
        raise error

    guard = make_guard(Attempts(), work)
    kind = type(error).__name__

    assert guard.run(["a", "b"]) == [f"a: {kind} {again}", f"b: {kind} {again}"]
    assert guard.run([]) == []


def test_a_store_that_comes_back_within_the_patience_costs_no_try() -> None:
    answers = [StoreUnavailable("no answer"), StoreUnavailable("no answer"), None]

    def work(items: Sequence[str]) -> list[str]:
        error = answers.pop(0)
        if error is not None:
            raise error
        return list(items)

    assert make_guard(Attempts(), work, patience_s=10.0).run(["a", "b"]) == ["a", "b"]
    assert answers == []
