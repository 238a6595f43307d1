from __future__ import annotations

import json
from pathlib import Path

from cli.command_line import PHOTOS, Indexed, glyphseek

from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.ports import blob_key


def blobs_of(gallery: Path) -> list[Path]:
    return sorted(path for path in (gallery / "features").rglob("*") if path.is_file())


def test_info_counts_what_the_gallery_holds(indexed: Indexed) -> None:
    ended = glyphseek("info", "--gallery", indexed.gallery, "--json")

    facts = json.loads(ended.out)
    assert (facts["images"], facts["files"], facts["images without words"]) == (3, 3, 0)
    assert facts["model"] == "tdsl-tiny"
    assert facts["photos folder"] == str(indexed.photos.resolve())
    assert facts["words found"] > 0
    assert facts["bytes on disk"] > sum(path.stat().st_size for path in blobs_of(indexed.gallery)) > 0


def test_a_sound_gallery_is_verified_with_0(indexed: Indexed) -> None:
    ended = glyphseek("verify", "--gallery", indexed.gallery)

    assert ended.code == 0, ended.err
    assert "3 images, 0 with a problem, 0 blobs to collect" in ended.out


def test_export_writes_one_line_an_image_with_boxes_on_request(indexed: Indexed, tmp_path: Path) -> None:
    plain = glyphseek("export", "--gallery", indexed.gallery)
    boxed = glyphseek("export", "--gallery", indexed.gallery, "--boxes", "--to", tmp_path / "all.jsonl")

    assert (plain.code, boxed.code) == (0, 0)
    lines = [json.loads(line) for line in plain.out.splitlines()]
    assert {name for line in lines for name in line["names"]} == set(PHOTOS)
    assert "instances" not in lines[0]
    with_boxes = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [line["image_id"] for line in with_boxes] == [line["image_id"] for line in lines]
    assert all(len(line["instances"]) == line["instance_count"] for line in with_boxes)


def test_a_damaged_blob_degrades_search_and_fails_verification(indexed: Indexed, tmp_path: Path) -> None:
    gallery = indexed.copied(tmp_path / "copy")
    blob = blobs_of(gallery)[0]
    damaged = bytearray(blob.read_bytes())
    damaged[-1] ^= 0xFF
    blob.write_bytes(damaged)

    searched = glyphseek("search", "coffee", "--gallery", gallery, "--json")
    shown = glyphseek("search", "coffee", "--gallery", gallery)
    verified = glyphseek("verify", "--gallery", gallery, "--json")

    assert searched.code == 0, searched.err
    answer = json.loads(searched.out)[0]
    assert len(answer["hits"]) == 3
    assert [part["stage"] for part in answer["degraded"]] == ["match"]
    assert answer["degraded"][0]["coverage"] < 1
    assert "degraded: match: " in shown.err
    assert verified.code == 1
    problems = json.loads(verified.out)["problems"]
    assert [(problem["image_id"], problem["kind"]) for problem in problems] == [(blob.stem, "BlobDamaged")]


def test_what_verification_lists_is_mended_as_it_says(indexed: Indexed, tmp_path: Path) -> None:
    gallery = indexed.copied(tmp_path / "copy")
    blobs_of(gallery)[0].write_bytes(b"")

    told = glyphseek("verify", "--gallery", gallery)
    deleted = glyphseek("delete", blobs_of(gallery)[0].stem, "--gallery", gallery)
    indexed_again = glyphseek("index", indexed.photos, "--gallery", gallery, "--model", indexed.model)

    assert "take these images out with `glyphseek delete`, and index their photos again" in told.err
    assert (told.code, deleted.code, indexed_again.code) == (1, 0, 0)
    assert glyphseek("verify", "--gallery", gallery).code == 0


def test_deleted_images_are_gone_and_unknown_ones_end_with_2(indexed: Indexed, tmp_path: Path) -> None:
    gallery = indexed.copied(tmp_path / "copy")

    ended = glyphseek("delete", "coffee.png", "nothing.png", "--gallery", gallery)
    left = glyphseek("search", "coffee", "--gallery", gallery, "--json")

    assert ended.code == 2
    assert "1 images removed" in ended.out
    assert "not in the gallery: nothing.png" in ended.err
    names = {name for hit in json.loads(left.out)[0]["hits"] for name in hit["names"]}
    assert names == set(PHOTOS) - {"coffee.png"}


def test_blobs_without_a_row_are_garbage_and_collected(indexed: Indexed, tmp_path: Path) -> None:
    gallery = indexed.copied(tmp_path / "copy")
    own = blobs_of(gallery)
    fingerprint = json.loads((gallery / "gallery.json").read_text())["card"]["fingerprint"]
    DirectoryFeatureStore(gallery / "features").put(blob_key(fingerprint, "f" * 32), own[0].read_bytes())

    collected = glyphseek("gc", "--gallery", gallery, "--json")

    assert len(own) == 3
    assert collected.code == 0
    assert json.loads(collected.out) == {"removed": [blob_key(fingerprint, "f" * 32)], "partial_files": 0}
    assert blobs_of(gallery) == own
