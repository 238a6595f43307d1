from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from indexing.gallery_fakes import WIDTH, FakeVectors

from glyphseek.errors import StoreUnavailable
from glyphseek.indexing import Skip, StoredImage
from glyphseek.types import FloatArray, ImageRecord
from glyphseek_indexer.committing import Outcome, RowWriter


def store(name: str, image_id: str, *, reused: bool = False) -> Outcome:
    record = ImageRecord(
        image_id=image_id, content_hash=f"hash of {image_id}", names=(), width=4, height=3, instance_count=1
    )
    vectors = np.full((1, WIDTH), len(image_id), dtype=np.float32)
    return Outcome(name=name, stored=StoredImage(record=record, vectors=vectors, reused=reused))


def leave_out(name: str) -> Outcome:
    return Outcome(name=name, skip=Skip(name=name, kind="ImageUnreadable", message="damaged"))


class MovingClock:
    """Time goes on by sleeping only."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class AilingVectors(FakeVectors):
    """Does not answer until a time has come."""

    def __init__(self, clock: MovingClock, *, well_at_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._well_at_s = well_at_s

    def put(self, records: Sequence[ImageRecord], vectors: Sequence[FloatArray]) -> None:
        if self._clock() < self._well_at_s:
            super().put(records[:1], vectors[:1])
            raise StoreUnavailable("no answer")
        super().put(records, vectors)


def test_every_outcome_is_counted_once_and_only_stored_images_get_rows() -> None:
    vectors = FakeVectors()
    writer = RowWriter(vectors=vectors, patience_s=0)
    writer.write([store("a", "one"), store("b", "two", reused=True), leave_out("c"), Outcome(name="d")])

    counts = writer.counts
    assert (counts.added, counts.reused, counts.unchanged, counts.updated) == (2, 1, 1, 0)
    assert [skip.name for skip in counts.refused] == ["c"]
    assert counts.done == 4
    assert {key: record.names for key, record in vectors.records.items()} == {"one": ("a",), "two": ("b",)}


def test_photos_and_the_seconds_of_their_steps_are_told_as_metrics() -> None:
    clock = MovingClock()
    vectors = AilingVectors(clock, well_at_s=0.5)
    writer = RowWriter(vectors=vectors, patience_s=100, clock=clock, sleep=clock.sleep)
    writer.refuse(Skip(name="x", kind="ImageUnreadable", message="dangling"))
    stored = replace(store("a", "one"), read_s=0.25, encode_s=2.0)
    writer.write([stored, replace(leave_out("b"), read_s=0.5)])

    def value(name: str, **labels: str) -> float | None:
        return writer.metrics.registry.get_sample_value(f"glyphseek_{name}", labels)

    assert [value("images_total", outcome=one) for one in ("added", "refused", "updated")] == [1, 2, None]
    assert [value("ingest_seconds_sum", step=one) for one in ("read", "encode", "commit")] == [0.75, 2.0, 0.5]
    assert [value("ingest_seconds_count", step=one) for one in ("read", "encode", "commit")] == [2, 1, 2]


def test_copies_are_one_row_with_all_names_within_a_batch_and_across_batches() -> None:
    vectors = FakeVectors()
    writer = RowWriter(vectors=vectors, patience_s=0)
    writer.write([store("b", "one"), store("a", "one")])
    writer.write([store("c", "one", reused=True)])
    writer.write([store("a", "one", reused=True)])

    assert vectors.records["one"].names == ("a", "b", "c")
    assert (writer.counts.added, writer.counts.updated, writer.counts.unchanged) == (1, 2, 1)
    assert vectors.puts == 2


def test_a_store_that_comes_back_in_time_gets_every_row_and_counts_stay_right() -> None:
    clock = MovingClock()
    vectors = AilingVectors(clock, well_at_s=20)
    writer = RowWriter(vectors=vectors, patience_s=60, clock=clock, sleep=clock.sleep)
    writer.write([store("a", "one"), store("b", "two")])

    assert sorted(vectors.records) == ["one", "two"]
    assert writer.counts.added == 2
    assert clock() >= 20


def test_past_the_patience_the_error_is_raised() -> None:
    clock = MovingClock()
    vectors = AilingVectors(clock, well_at_s=1000)
    writer = RowWriter(vectors=vectors, patience_s=60, clock=clock, sleep=clock.sleep)

    with pytest.raises(StoreUnavailable):
        writer.write([store("a", "one")])
    assert clock() <= 60
