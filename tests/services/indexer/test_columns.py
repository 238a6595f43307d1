import numpy as np

from glyphseek.indexing import OpenedPhoto, Skip, StoredImage
from glyphseek.types import ImageRecord
from glyphseek_indexer.columns import (
    names_of,
    names_to_table,
    outcomes_of,
    outcomes_to_table,
    readings_of,
    readings_to_table,
)
from glyphseek_indexer.committing import Outcome
from glyphseek_indexer.reading import Reading
from glyphseek_indexer.retrying import Again

RECORD = ImageRecord(image_id="1f" * 16, content_hash="1f" * 32, names=(), width=40, height=30, instance_count=0)
SKIP = Skip(name="é.jpg", kind="ImageTooLarge", message="more than 3 bytes")


def test_names_come_back_as_they_were() -> None:
    names = ["a.jpg", "é/雨.png", "\\xff.jpg"]

    assert names_of(names_to_table(names)) == names
    assert names_of(names_to_table([])) == []


def test_readings_come_back_as_they_were() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    readings = [
        Reading(name="a", photo=OpenedPhoto(record=RECORD, pixels=pixels)),
        Reading(name="b"),
        Reading(name="é.jpg", skip=SKIP),
        Reading(name="c", skip=SKIP, again=Again.ONCE, read_s=0.25),
        Reading(name="d", skip=SKIP, again=Again.ALWAYS),
    ]
    first, *others = readings_of(readings_to_table(readings))

    assert first.photo is not None
    assert first.photo.record == RECORD
    np.testing.assert_array_equal(first.photo.pixels, pixels)
    assert [(one.name, one.photo, one.again) for one in others] == [
        ("b", None, Again.NEVER),
        ("é.jpg", None, Again.NEVER),
        ("c", None, Again.ONCE),
        ("d", None, Again.ALWAYS),
    ]
    assert [one.read_s for one in others] == [0.0, 0.0, 0.25, 0.0]
    assert others[0].skip is None
    assert others[1].skip == SKIP


def test_outcomes_come_back_as_they_were_also_without_any_vector() -> None:
    vectors = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    outcomes = [
        Outcome(name="a", stored=StoredImage(record=RECORD, vectors=vectors, reused=True)),
        Outcome(name="b", stored=StoredImage(record=RECORD, vectors=np.empty((0, 5), np.float32))),
        Outcome(name="é.jpg", skip=SKIP, again=Again.ALWAYS),
        Outcome(name="c", read_s=0.25, encode_s=0.5),
    ]
    first, empty, left_out, known = outcomes_of(outcomes_to_table(outcomes))

    assert first.stored is not None
    assert (first.stored.record, first.stored.reused) == (RECORD, True)
    np.testing.assert_array_equal(first.stored.vectors, vectors)
    assert empty.stored is not None
    assert empty.stored.vectors.shape == (0, 5)
    assert left_out == outcomes[2]
    assert known == outcomes[3]


def test_tables_without_rows_are_tables() -> None:
    assert readings_of(readings_to_table([])) == []
    assert outcomes_of(outcomes_to_table([])) == []
