import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, FakeFeatures, FakeModel, FakeVectors, photo_bytes

from glyphseek.deadlines import deadline_bound, time_left
from glyphseek.errors import DeadlineExceeded, GlyphseekError, ImageError, InputError, ServiceUnavailable
from glyphseek.fetching import SETTLING_S
from glyphseek.indexing import (
    EncodedFile,
    ImageEncoder,
    Intake,
    IntakeItem,
    Intaken,
    StoredImage,
    hash_content,
    id_of,
    photo_key,
    verify,
)
from glyphseek.ports import blob_key
from glyphseek.types import ImageRecord, RgbImage

ONE, TWO = photo_bytes(1), photo_bytes(2)


class Rig:
    """An intake over stores in memory; `journal` has what was done in which order."""

    def __init__(self, *, keep_photos: bool = False, others: Sequence[FakeVectors] = ()) -> None:
        self.journal: list[str] = []
        self.vectors, self.features = FakeVectors(self.journal), FakeFeatures(self.journal)
        self.model = FakeModel()
        self.encoder = ImageEncoder(self.model, self.features)
        self.failure: Exception | None = None
        self.intake = Intake(
            self.vectors,
            self.features,
            self,
            fingerprint=FINGERPRINT,
            keep_photos=keep_photos,
            others=lambda: others,
            wait=lambda seconds: self.journal.append(f"wait {seconds} s"),
        )

    def encode_and_store(self, files: Sequence[EncodedFile]) -> list[StoredImage | ImageError]:
        if self.failure is not None:
            raise self.failure
        return self.encoder.encode_and_store(files)

    def add(self, *items: IntakeItem) -> list[Intaken]:
        return [one.outcome for one in self.intake.add(items)]

    def is_sound(self) -> bool:
        report = verify(self.vectors, self.features, fingerprint=FINGERPRINT)
        return report.is_sound and not report.garbage


def test_blobs_are_written_before_rows_and_answers_are_in_order() -> None:
    rig = Rig()
    results = rig.intake.add([IntakeItem(content=ONE), IntakeItem(content=b"text"), IntakeItem(content=TWO)])

    assert [one.outcome for one in results] == [Intaken.ADDED, Intaken.REFUSED, Intaken.ADDED]
    assert [one.image_id for one in results] == [id_of(hash_content(one)) for one in (ONE, b"text", TWO)]
    assert [entry.split()[0] for entry in rig.journal] == ["blob", "blob", "row", "row"]
    assert rig.is_sound()


def test_adding_again_changes_nothing_and_encodes_nothing() -> None:
    rig = Rig()
    item = IntakeItem(content=ONE, name="a.jpg", metadata={"city": "Oslo"})
    assert rig.add(item) == [Intaken.ADDED]
    rig.journal.clear()

    assert rig.add(item) == [Intaken.UNCHANGED]
    assert rig.journal == []
    assert len(rig.model.encoded) == 1


def test_one_content_twice_in_a_call_is_one_image_with_both_names() -> None:
    rig = Rig()

    assert rig.add(IntakeItem(content=ONE, name="b"), IntakeItem(content=ONE, name="a")) == [
        Intaken.ADDED,
        Intaken.UPDATED,
    ]
    (record,) = rig.vectors.records.values()
    assert record.names == ("a", "b")
    assert len(rig.model.encoded) == 1


def test_another_name_or_other_metadata_update_the_row_alone() -> None:
    rig = Rig()
    rig.add(IntakeItem(content=ONE, name="a", metadata={"year": 2020}))
    before = dict(rig.vectors.vectors)

    assert rig.add(IntakeItem(content=ONE, name="b")) == [Intaken.UPDATED]
    assert rig.add(IntakeItem(content=ONE, metadata={"year": 2021})) == [Intaken.UPDATED]
    assert rig.add(IntakeItem(content=ONE, name="a")) == [Intaken.UNCHANGED]
    (record,) = rig.vectors.records.values()
    assert (record.names, dict(record.metadata)) == (("a", "b"), {"year": 2021.0})
    assert len(rig.model.encoded) == 1
    np.testing.assert_array_equal(rig.vectors.vectors[record.image_id], before[record.image_id])


def test_an_image_whose_blob_is_gone_is_encoded_anew_when_its_row_must_be_written() -> None:
    rig = Rig()
    rig.add(IntakeItem(content=ONE))
    rig.features.delete(list(rig.features.content()))

    assert rig.add(IntakeItem(content=ONE, name="a")) == [Intaken.UPDATED]
    assert rig.is_sound()


def test_a_callers_id_with_another_content_is_out_of_search_while_it_changes() -> None:
    rig = Rig()
    rig.add(IntakeItem(content=ONE, image_id="sign", name="old", metadata={"a": 1}))
    rig.journal.clear()

    assert rig.add(IntakeItem(content=TWO, image_id="sign", name="new")) == [Intaken.UPDATED]
    assert rig.journal == ["delete row sign", "blob sign", f"wait {SETTLING_S} s", "row sign"]
    record = rig.vectors.records["sign"]
    assert (record.content_hash, record.names, dict(record.metadata)) == (hash_content(TWO), ("new",), {"a": 1.0})
    assert rig.is_sound()


def test_an_id_keeps_its_photo_when_the_new_one_is_refused() -> None:
    rig = Rig()
    rig.add(IntakeItem(content=ONE, image_id="sign"))
    before = dict(rig.vectors.records)

    assert rig.add(IntakeItem(content=b"no image", image_id="sign")) == [Intaken.REFUSED]
    assert rig.vectors.records == before
    assert rig.is_sound()


def test_two_contents_of_one_id_in_a_call_come_one_after_the_other() -> None:
    rig = Rig()

    assert rig.add(IntakeItem(content=ONE, image_id="x"), IntakeItem(content=TWO, image_id="x")) == [
        Intaken.ADDED,
        Intaken.UPDATED,
    ]
    assert rig.vectors.records["x"].content_hash == hash_content(TWO)
    assert rig.is_sound()


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (IntakeItem(content=ONE, image_id="a/b"), "'a/b'"),
        (IntakeItem(content=ONE, image_id="x" * 129), "128"),
        (IntakeItem(content=ONE, image_id="0" * 32), "another content"),
        (IntakeItem(content=ONE, name="n" * 1025), "1024"),
        (IntakeItem(content=ONE, metadata={"1bad": 1}), "1bad"),
        (IntakeItem(content=ONE, metadata={"size": float("nan")}), "nan"),
    ],
)
def test_what_is_wrong_with_an_item_refuses_it_alone_with_the_value_or_the_limit(item: IntakeItem, reason: str) -> None:
    rig = Rig()
    refused, added = rig.intake.add([item, IntakeItem(content=TWO)])

    assert (refused.outcome, added.outcome) == (Intaken.REFUSED, Intaken.ADDED)
    assert reason in str(refused.error)


def test_an_encoder_that_is_down_leaves_no_row_and_adding_again_is_right() -> None:
    rig = Rig()
    rig.failure = ServiceUnavailable("the encoder is down")
    with pytest.raises(ServiceUnavailable):
        rig.add(IntakeItem(content=ONE))
    assert rig.vectors.records == {}

    rig.failure = None
    assert rig.add(IntakeItem(content=ONE)) == [Intaken.ADDED]
    assert rig.is_sound()


def test_kept_photos_are_the_very_bytes_and_are_there_before_the_row() -> None:
    rig = Rig(keep_photos=True)
    rig.add(IntakeItem(content=ONE))

    key = photo_key(hash_content(ONE))
    assert rig.features.get([key]) == [ONE]
    assert [entry.split()[0] for entry in rig.journal] == ["blob", "blob", "row"]


def test_deleting_removes_rows_before_blobs_and_tells_unknown_ids() -> None:
    rig = Rig()
    rig.add(IntakeItem(content=ONE, image_id="a"), IntakeItem(content=TWO, image_id="b"))
    rig.journal.clear()
    removal = rig.intake.delete(["b", "nobody", "a", "b"])

    assert removal.removed_ids == ("b", "a")
    assert removal.unknown_ids == ("nobody",)
    assert [entry.rsplit(" ", 1)[0] for entry in rig.journal] == ["delete row"] * 2 + ["delete blob"] * 2
    assert rig.features.content() == {}


class HurriedVectors(FakeVectors):
    """Answers nobody whose time is over, and deletes until it is."""

    deadline = 0.0

    def get(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        time_left(1.0)
        return super().get(image_ids)

    def delete(self, image_ids: Sequence[str]) -> None:
        super().delete(image_ids)
        time.sleep(max(0.0, self.deadline - time.monotonic()) + 0.01)


def test_a_deadline_between_rows_and_blobs_leaves_no_blob_behind() -> None:
    rig = Rig()
    hurried = HurriedVectors(rig.journal)
    intake = Intake(hurried, rig.features, rig, fingerprint=FINGERPRINT, others=lambda: [hurried])
    intake.add([IntakeItem(content=ONE, image_id="a")])
    hurried.deadline = time.monotonic() + 2.0
    with deadline_bound(hurried.deadline):
        assert intake.delete(["a"]).removed_ids == ("a",)
        with pytest.raises(DeadlineExceeded):
            hurried.get(["a"])
    assert rig.features.content() == {}


def test_a_blob_that_another_gallery_uses_stays() -> None:
    other = FakeVectors()
    rig = Rig(others=[other])
    rig.add(IntakeItem(content=ONE), IntakeItem(content=TWO))
    shared = id_of(hash_content(ONE))
    other.records[shared] = rig.vectors.records[shared]
    rig.intake.delete(list(rig.vectors.records))

    assert list(rig.features.content()) == [blob_key(FINGERPRINT, shared)]


def test_a_callers_id_of_another_gallery_is_not_taken_for_another_content() -> None:
    other = FakeVectors()
    rig = Rig(others=[other])
    rig.add(IntakeItem(content=ONE, image_id="sign"))
    other.records["sign"] = rig.vectors.records.pop("sign")

    (refused,) = rig.intake.add([IntakeItem(content=TWO, image_id="sign")])
    assert isinstance(refused.error, InputError)
    assert "another gallery" in str(refused.error)
    assert rig.add(IntakeItem(content=ONE, image_id="sign")) == [Intaken.ADDED]


def test_two_threads_that_add_one_photo_encode_it_once_and_keep_both_names() -> None:
    rig, begun, go = Rig(), threading.Event(), threading.Event()

    def wait(images: Sequence[RgbImage]) -> None:
        begun.set()
        assert go.wait(10)

    rig.model.before_encode = wait
    errors: list[GlyphseekError] = []

    def add(name: str) -> None:
        try:
            rig.add(IntakeItem(content=ONE, name=name))
        except GlyphseekError as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(name,)) for name in "ab"]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(10)

    (record,) = rig.vectors.records.values()
    assert (errors, record.names, len(rig.model.encoded)) == ([], ("a", "b"), 1)
