from collections.abc import Callable, Iterator, Sequence

import numpy as np
from indexing.gallery_fakes import WIDTH, FakeVectors

from glyphseek.errors import ImageError, ServiceUnavailable, StoreError, StoreFull
from glyphseek.indexing import IngestProgress, Skip, StoredImage
from glyphseek.indexing import Outcome as Ending
from glyphseek.types import ImageRecord
from glyphseek_indexer.committing import Outcome, RowWriter
from glyphseek_indexer.job import COMMIT_S, LEAST_FAILURES_IN_A_ROW, LONGEST_FAILING_S, MOST_FAILURES_IN_A_ROW, Job
from glyphseek_indexer.retrying import Again


class ListedSource:
    def __init__(self, *entries: str | Skip) -> None:
        self._entries = entries

    def names(self) -> Iterator[str | Skip]:
        yield from self._entries

    def read(self, names: Sequence[str]) -> list[bytes | ImageError | StoreError]:
        raise NotImplementedError("the workers of this test read nothing")


class ScriptedWorkers:
    """One function for each time that they are run; remembers the names that they were given."""

    def __init__(self, *runs: Callable[[Sequence[str]], Iterator[list[Outcome]]]) -> None:
        self._runs = list(runs)
        self.given: list[list[str]] = []

    def run(self, names: Sequence[str]) -> Iterator[list[Outcome]]:
        self.given.append(list(names))
        return self._runs.pop(0)(names)


def store(name: str) -> Outcome:
    record = ImageRecord(image_id=name, content_hash=name, names=(), width=1, height=1, instance_count=1)
    return Outcome(name=name, stored=StoredImage(record=record, vectors=np.ones((1, WIDTH), np.float32)))


def fail(name: str, *, kind: str = "StoreUnavailable", again: Again = Again.ALWAYS) -> Outcome:
    return Outcome(name=name, skip=Skip(name=name, kind=kind, message="no answer"), again=again)


def store_all(names: Sequence[str]) -> Iterator[list[Outcome]]:
    yield [store(name) for name in names]


def make_job(
    source: ListedSource, workers: ScriptedWorkers, *, commit_images: int = 64
) -> tuple[Job, FakeVectors, list[IngestProgress]]:
    vectors, progress = FakeVectors(), list[IngestProgress]()
    writer = RowWriter(vectors=vectors, patience_s=0)
    job = Job(source=source, workers=workers, writer=writer, commit_images=commit_images, on_progress=progress.append)
    return job, vectors, progress


def test_every_name_is_accounted_for_and_progress_ends_at_the_total() -> None:
    lost = Skip(name="x", kind="ImageUnreadable", message="dangling")
    job, vectors, progress = make_job(ListedSource("a", lost, "b"), ScriptedWorkers(store_all))

    assert job.run() == (Ending.COMPLETE, "")
    assert (job.found, job.counts.added, job.counts.refused) == (3, 2, [lost])
    assert sorted(vectors.records) == ["a", "b"]
    assert progress[0] == IngestProgress(done=1, total=3, refused=1)
    assert progress[-1] == IngestProgress(done=3, total=3, refused=1)


def test_a_name_that_comes_back_twice_counts_once() -> None:
    def twice(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [store("a"), store("b")]
        yield [store("b"), store("a")]

    job, _, _ = make_job(ListedSource("a", "b"), ScriptedWorkers(twice))

    assert job.run() == (Ending.COMPLETE, "")
    assert (job.counts.added, job.counts.unchanged) == (2, 0)


def test_what_failed_for_a_reason_that_passed_is_done_in_a_second_pass() -> None:
    def half(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [store("a"), fail("b"), fail("c", kind="ValueError", again=Again.ONCE)]

    def rest(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [store("b"), fail("c", kind="ValueError", again=Again.ONCE)]

    workers = ScriptedWorkers(half, rest)
    job, vectors, _ = make_job(ListedSource("a", "b", "c"), workers)

    assert job.run() == (Ending.COMPLETE, "")
    assert workers.given == [["a", "b", "c"], ["b", "c"]]
    assert sorted(vectors.records) == ["a", "b"]
    assert [(skip.name, skip.kind) for skip in job.counts.refused] == [("c", "ValueError")]


def test_photos_that_a_store_fails_in_both_passes_are_not_refused_and_the_job_is_not_complete() -> None:
    def half(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [store("a"), fail("b"), fail("c")]

    def rest(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [fail("b"), store("c")]

    job, vectors, progress = make_job(ListedSource("a", "b", "c"), ScriptedWorkers(half, rest))
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert message == (
        "StoreUnavailable: 1 photos could not be read or stored, 'b' for: StoreUnavailable: no answer; "
        "run again to go on"
    )
    assert job.counts.refused == []
    assert sorted(vectors.records) == ["a", "c"]
    assert progress[-1] == IngestProgress(done=2, total=3, refused=0)


def test_photos_that_find_no_space_end_the_job_as_full() -> None:
    def full(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [fail(name, kind="StoreFull") for name in names]

    job, _, _ = make_job(ListedSource("a", "b"), ScriptedWorkers(full, full))
    outcome, message = job.run()

    assert outcome is Ending.FULL
    assert message.startswith("no answer; free some space")


def test_names_that_no_worker_accounted_for_leave_the_job_incomplete() -> None:
    def nothing(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield []

    job, _, _ = make_job(ListedSource("a", "b"), ScriptedWorkers(nothing, nothing))
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert "2 photos" in message


def test_rows_are_committed_while_workers_are_at_work() -> None:
    seen: list[int] = []

    def one_by_one(names: Sequence[str]) -> Iterator[list[Outcome]]:
        for name in names:
            yield [store(name)]
            seen.append(len(vectors.records))

    job, vectors, _ = make_job(ListedSource("a", "b", "c", "d", "e"), ScriptedWorkers(one_by_one), commit_images=2)
    job.run()

    assert seen == [0, 2, 2, 4, 4]
    assert len(vectors.records) == 5


def test_rows_of_slow_workers_are_committed_after_a_while() -> None:
    now_s, seen = [0.0], list[int]()

    def slowly(names: Sequence[str]) -> Iterator[list[Outcome]]:
        for name in names:
            now_s[0] += 0.6 * COMMIT_S
            yield [store(name)]
            seen.append(len(vectors.records))

    job, vectors, _ = make_job(ListedSource("a", "b", "c"), ScriptedWorkers(slowly))
    job.clock = lambda: now_s[0]
    job.run()

    assert seen == [0, 2, 2]


def test_a_job_whose_photos_all_fail_ends_early_with_the_reason() -> None:
    names = [str(n) for n in range(2 * MOST_FAILURES_IN_A_ROW)]
    job, _, _ = make_job(ListedSource(*names), ScriptedWorkers(lambda given: iter([[fail(name) for name in given]])))
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert "no answer" in message
    assert "run again" in message


def test_a_job_whose_photos_fail_after_long_waits_ends_early_with_fewer_of_them() -> None:
    now_s, count = [0.0], 2 * LEAST_FAILURES_IN_A_ROW

    def slowly(names: Sequence[str]) -> Iterator[list[Outcome]]:
        for name in names:
            now_s[0] += 1.01 * LONGEST_FAILING_S / (LEAST_FAILURES_IN_A_ROW - 1)
            yield [fail(name)]

    job, _, _ = make_job(ListedSource(*map(str, range(count))), ScriptedWorkers(slowly))
    job.clock = lambda: now_s[0]
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert f"the last {LEAST_FAILURES_IN_A_ROW} photos failed" in message


def test_workers_that_break_down_leave_what_was_committed() -> None:
    def breaking(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield [store("a")]
        raise ServiceUnavailable("the workers failed: out of memory")

    job, vectors, _ = make_job(ListedSource("a", "b"), ScriptedWorkers(breaking), commit_images=1)
    outcome, message = job.run()

    assert outcome is Ending.FAILED
    assert "out of memory" in message
    assert sorted(vectors.records) == ["a"]


def test_a_full_store_and_an_interruption_have_their_own_endings() -> None:
    def full(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield []
        raise StoreFull("no space left")

    def interrupted(names: Sequence[str]) -> Iterator[list[Outcome]]:
        yield []
        raise KeyboardInterrupt

    assert make_job(ListedSource("a"), ScriptedWorkers(full))[0].run()[0] is Ending.FULL
    assert make_job(ListedSource("a"), ScriptedWorkers(interrupted))[0].run()[0] is Ending.CANCELLED


def test_a_source_without_photos_needs_no_workers() -> None:
    job, _, progress = make_job(ListedSource(), ScriptedWorkers())

    assert job.run() == (Ending.COMPLETE, "")
    assert progress == [IngestProgress(done=0, total=0, refused=0)]
