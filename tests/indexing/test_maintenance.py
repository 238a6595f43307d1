from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from indexing.gallery_fakes import FINGERPRINT, WIDTH, FakeVectors, Gallery, write_photos

from glyphseek.indexing import collect_garbage, collect_photos, delete_images, export_records, photo_key, verify
from glyphseek.ports import blob_key
from glyphseek.tokens import CodecName, pack, unpack
from glyphseek.types import ImageFeatures, Instances

OTHER = "f" * 32


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    made = Gallery(root=tmp_path)
    write_photos(made.photos, 70)
    made.indexer().run(made.photos)
    return made


def test_a_gallery_just_indexed_is_sound(gallery: Gallery) -> None:
    report = verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT)
    assert report.is_sound
    assert (report.images, report.problems, report.garbage, report.foreign) == (70, (), (), 0)


def test_verify_lists_missing_damaged_and_foreign_blobs_and_wrong_counts(gallery: Gallery) -> None:
    ids = sorted(gallery.vectors.records)
    keys = [blob_key(FINGERPRINT, image_id) for image_id in ids]
    blobs = gallery.features.content()
    gallery.features.delete([keys[0]])
    damaged = bytearray(blobs[keys[20]])
    damaged[-1] ^= 1
    gallery.features.put(keys[20], bytes(damaged))
    foreign = pack(unpack(blobs[keys[40]], fingerprint=FINGERPRINT), codec=CodecName.FP16, fingerprint=OTHER)
    gallery.features.put(keys[40], foreign)
    record = gallery.vectors.records[ids[69]]
    gallery.vectors.records[ids[69]] = replace(record, instance_count=record.instance_count + 1)
    report = verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT)
    assert not report.is_sound
    assert [(problem.image_id, problem.kind) for problem in report.problems] == [
        (ids[0], "BlobMissing"),
        (ids[20], "BlobDamaged"),
        (ids[40], "BlobForeign"),
        (ids[69], "BlobDamaged"),
    ]
    assert report.problems[0].names == gallery.vectors.records[ids[0]].names
    assert json.loads(json.dumps(report.as_json()))["is_sound"] is False


def test_garbage_is_found_removed_and_blobs_of_other_models_are_left(gallery: Gallery) -> None:
    empty = ImageFeatures(
        instances=Instances(
            vectors_ND=np.zeros((0, WIDTH), np.float32),
            boxes_N4=np.zeros((0, 4), np.float32),
            scores_N=np.zeros(0, np.float32),
        )
    )
    stray, foreign = blob_key(FINGERPRINT, "ab" * 16), blob_key(OTHER, "ab" * 16)
    gallery.features.put(stray, pack(empty, codec=CodecName.FP16, fingerprint=FINGERPRINT))
    gallery.features.put(foreign, pack(empty, codec=CodecName.FP16, fingerprint=OTHER))
    report = verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT)
    assert (report.is_sound, report.garbage, report.foreign) == (True, (stray,), 1)
    assert collect_garbage(gallery.vectors, gallery.features, fingerprint=FINGERPRINT) == (stray,)
    assert collect_garbage(gallery.vectors, gallery.features, fingerprint=FINGERPRINT) == ()
    assert len(gallery.features.content()) == 71


def test_what_another_gallery_of_the_model_uses_is_no_garbage(gallery: Gallery, tmp_path: Path) -> None:
    other = Gallery(root=tmp_path / "other")
    write_photos(other.photos, 70)
    other.indexer().run(other.photos)
    shared = sorted(gallery.vectors.records)[0]
    gallery.vectors.delete([shared])
    key = blob_key(FINGERPRINT, shared)
    for others, garbage in (([other.vectors], ()), ([], (key,))):
        report = verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, others=others)
        assert (report.images, report.garbage) == (69, garbage)
        removed = collect_garbage(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, others=others)
        assert removed == garbage


def test_kept_photos_go_when_no_gallery_has_their_content(gallery: Gallery) -> None:
    record = next(iter(gallery.vectors.scan()))
    before = gallery.features.content()
    gallery.features.put(photo_key(record.content_hash), b"used")
    gallery.features.put(photo_key("ef" * 32), b"left over")
    assert collect_photos(gallery.features, [gallery.vectors]) == (photo_key("ef" * 32),)
    assert gallery.features.content() == before | {photo_key(record.content_hash): b"used"}
    assert collect_photos(gallery.features, []) == (photo_key(record.content_hash),)


def test_images_are_deleted_by_id_or_name_row_first(gallery: Gallery) -> None:
    first, second = list(gallery.vectors.scan())[:2]
    wanted = [first.image_id, second.names[0], "nobody.png", "nobody.png"]
    del gallery.journal[:]
    report = delete_images(gallery.vectors, gallery.features, wanted, fingerprint=FINGERPRINT)
    assert report.removed == (first, second)
    assert report.unknown == ("nobody.png",)
    assert gallery.journal == [
        f"delete row {first.image_id}",
        f"delete row {second.image_id}",
        f"delete blob {first.image_id}",
        f"delete blob {second.image_id}",
    ]
    assert verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT).images == 68


def test_deleted_images_come_back_while_their_files_are_in_the_folder(gallery: Gallery) -> None:
    record = next(gallery.vectors.scan())
    delete_images(gallery.vectors, gallery.features, record.names, fingerprint=FINGERPRINT)
    assert gallery.indexer().run(gallery.photos).added == 1
    assert gallery.vectors.records[record.image_id] == record


def test_a_blob_whose_row_comes_while_collecting_settles_is_kept(gallery: Gallery) -> None:
    late, dead = blob_key(FINGERPRINT, "late"), blob_key(FINGERPRINT, "dead")
    for key in (late, dead):
        gallery.features.put(key, b"a blob")
    record = replace(next(gallery.vectors.scan()), image_id="late")

    def settle() -> None:
        gallery.vectors.records["late"] = record
        gallery.features.put(blob_key(FINGERPRINT, "later"), b"a blob")

    removed = collect_garbage(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, settle=settle)

    assert removed == (dead,)
    assert {late, blob_key(FINGERPRINT, "later")} <= set(gallery.features.scan())


def test_nothing_is_waited_for_where_nothing_is_to_be_removed(gallery: Gallery) -> None:
    def settle() -> None:
        raise AssertionError("there was no garbage")

    assert collect_garbage(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, settle=settle) == ()
    assert collect_photos(gallery.features, [gallery.vectors], settle=settle) == ()


def test_kept_photos_go_when_no_image_of_any_gallery_has_their_content(gallery: Gallery) -> None:
    other = FakeVectors()
    other.records["elsewhere"] = replace(next(gallery.vectors.scan()), image_id="elsewhere", content_hash="ee" * 32)
    used = next(gallery.vectors.scan()).content_hash
    for content_hash in (used, "ee" * 32, "dd" * 32):
        gallery.features.put(photo_key(content_hash), b"a file")

    assert collect_photos(gallery.features, [gallery.vectors, other]) == (photo_key("dd" * 32),)
    kept = {key for key in gallery.features.scan() if key.startswith("photos/")}
    assert kept == {photo_key(used), photo_key("ee" * 32)}


def test_blobs_that_another_gallery_uses_are_no_garbage_and_survive_deletion(gallery: Gallery) -> None:
    other = FakeVectors()
    shared = next(gallery.vectors.scan())
    other.records[shared.image_id] = shared
    delete_images(gallery.vectors, gallery.features, [shared.image_id], fingerprint=FINGERPRINT, others=[other])

    key = blob_key(FINGERPRINT, shared.image_id)
    assert key in set(gallery.features.scan())
    assert verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, others=[other]).garbage == ()
    assert verify(gallery.vectors, gallery.features, fingerprint=FINGERPRINT).garbage == (key,)


def test_the_export_holds_every_record_in_order_and_is_json(gallery: Gallery) -> None:
    lines = [
        json.loads(json.dumps(line))
        for line in export_records(gallery.vectors, gallery.features, fingerprint=FINGERPRINT)
    ]
    assert [line["image_id"] for line in lines] == sorted(gallery.vectors.records)
    record = next(gallery.vectors.scan())
    assert lines[0] == {
        "image_id": record.image_id,
        "content_hash": record.content_hash,
        "names": list(record.names),
        "width": 48,
        "height": 32,
        "instance_count": record.instance_count,
        "metadata": {},
    }


def test_the_export_gives_boxes_and_scores_and_none_for_a_damaged_blob(gallery: Gallery) -> None:
    records = list(gallery.vectors.scan())
    key = blob_key(FINGERPRINT, records[0].image_id)
    gallery.features.put(key, b"damaged")
    lines = list(export_records(gallery.vectors, gallery.features, fingerprint=FINGERPRINT, with_boxes=True))
    assert lines[0]["instances"] is None
    for record, line in zip(records[1:], lines[1:], strict=True):
        blob = gallery.features.get([blob_key(FINGERPRINT, record.image_id)])[0]
        assert blob is not None
        instances = unpack(blob, fingerprint=FINGERPRINT).instances
        assert instances is not None
        boxes, scores = instances.boxes_N4.tolist(), instances.scores_N.tolist()
        assert line["instances"] == [{"box": box, "score": s} for box, s in zip(boxes, scores, strict=True)]
