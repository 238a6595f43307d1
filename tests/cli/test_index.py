from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.command_line import Indexed, glyphseek, write_model, write_photos

from glyphseek.models.checkpoint import load_manifest
from glyphseek.tokens import inspect


def test_indexing_says_what_it_did(indexed: Indexed) -> None:
    assert indexed.ended.code == 0, indexed.ended.err
    assert (
        "3 photos found, 3 added, 0 unchanged, 0 renamed, 0 described anew, 0 removed, 0 left out" in indexed.ended.out
    )


def test_progress_goes_to_standard_error_as_lines_when_it_is_no_terminal(indexed: Indexed) -> None:
    assert "3/3" in indexed.ended.err
    assert "images/s" in indexed.ended.err


def test_a_second_run_encodes_nothing_and_knows_its_model(indexed: Indexed, tmp_path: Path) -> None:
    again = glyphseek("index", indexed.photos, "--gallery", indexed.copied(tmp_path / "copy"), "--json")

    assert again.code == 0, again.err
    report = json.loads(again.out)
    assert (report["unchanged"], report["added"], report["encoded"]) == (3, 0, 0)
    assert again.err == ""


def test_a_skipped_photo_ends_with_3_and_is_in_the_report(indexed: Indexed, tmp_path: Path) -> None:
    photos, gallery = write_photos(tmp_path / "photos"), tmp_path / "gallery"
    (photos / "broken[1].jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")

    ended = glyphseek("index", photos, "--gallery", gallery, "--model", indexed.model)

    assert ended.code == 3
    assert "left out: broken[1].jpg: Image" in ended.err
    assert "3 added" in ended.out
    skipped = json.loads((gallery / "report.json").read_text())["skipped"]
    assert [skip["name"] for skip in skipped] == ["broken[1].jpg"]


def test_metadata_of_a_file_is_what_filters_ask_for(indexed: Indexed, tmp_path: Path) -> None:
    gallery, said = indexed.copied(tmp_path / "copy"), tmp_path / "said.csv"
    said.write_text("file_name,city,year\nsub/taxi.png,Oslo,2021\nopen.png,Bergen,2020\nmisspelt.png,Oslo,1\n")

    ended = glyphseek("index", indexed.photos, "--gallery", gallery, "--metadata", said)
    assert ended.code == 0, ended.err
    assert "3 unchanged, 0 renamed, 2 described anew" in ended.out
    assert "metadata of 1 names that no photo has, for example misspelt.png" in ended.err

    def find(where: str) -> list[str]:
        found = glyphseek("search", "taxi", "--gallery", gallery, "--where", where, "--json")
        assert found.code == 0, found.err
        return sorted(name for hit in json.loads(found.out)[0]["hits"] for name in hit["names"])

    assert find('city == "Oslo" and year >= 2021') == ["sub/taxi.png"]
    assert find("year >= 2020") == ["open.png", "sub/taxi.png"]
    assert find("year >= 2022") == []


def test_metadata_that_cannot_be_read_is_refused_and_no_gallery_is_made(indexed: Indexed, tmp_path: Path) -> None:
    said = tmp_path / "said.csv"
    said.write_text("file_name,and\nopen.png,1\n")

    ended = glyphseek("index", indexed.photos, "--gallery", tmp_path / "new", "--metadata", said)

    assert ended.code != 0
    assert "said.csv: line 2: 'open.png': metadata key 'and' is a word of filters" in " ".join(ended.err.split())
    assert not (tmp_path / "new").exists()


def test_an_unknown_model_is_refused_and_no_gallery_is_made(indexed: Indexed, tmp_path: Path) -> None:
    ended = glyphseek("index", indexed.photos, "--gallery", tmp_path / "new", "--model", "glyphseek/nothing")

    assert ended.code == 1
    assert ended.err.startswith("ModelNotFound: no model 'glyphseek/nothing'; shipped: ")
    assert not (tmp_path / "new").exists()


def test_another_model_is_refused_with_both_names_and_fingerprints(indexed: Indexed, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", seed=1, name="tdsl-other")

    ended = glyphseek("index", indexed.photos, "--gallery", indexed.gallery, "--model", other)

    assert ended.code == 1
    assert "ModelMismatch" in ended.err
    before, given = (load_manifest(folder).fingerprint for folder in (indexed.model, other))
    assert before != given
    assert f"written by tdsl-tiny ({before}); this is tdsl-other ({given})" in ended.err


def test_a_folder_that_is_not_there_is_bad_input_and_makes_no_gallery(indexed: Indexed, tmp_path: Path) -> None:
    ended = glyphseek("index", tmp_path / "nowhere", "--gallery", tmp_path / "new", "--model", indexed.model)

    assert ended.code == 2
    assert not (tmp_path / "new").exists()


def test_another_folder_is_refused_until_the_move_is_allowed(indexed: Indexed, tmp_path: Path) -> None:
    gallery, moved = indexed.copied(tmp_path / "copy"), write_photos(tmp_path / "moved")

    refused = glyphseek("index", moved, "--gallery", gallery)
    allowed = glyphseek("index", moved, "--gallery", gallery, "--allow-move", "--json")

    assert refused.code == 2
    assert "--allow-move" in refused.err
    assert allowed.code == 0, allowed.err
    assert json.loads(allowed.out)["removed"] == 0
    assert json.loads((gallery / "gallery.json").read_text())["folder"] == str(moved.resolve())


def test_the_gallery_knows_its_model_from_any_working_folder(indexed: Indexed) -> None:
    kept = json.loads((indexed.gallery / "gallery.json").read_text())

    assert kept["model"] == str(indexed.model.resolve())


def codecs_of(gallery: Path) -> set[str]:
    """Return the codecs that the gallery's blobs are in."""
    return {inspect(path.read_bytes()).codec.value for path in (gallery / "features").rglob("*") if path.is_file()}


def add_photo(photos: Path) -> None:
    (photos / "late.png").write_bytes((photos / "open.png").read_bytes() + b" ")


def forget_packing(gallery: Path) -> None:
    """Make the gallery one that was indexed before its packing was written down."""
    kept = json.loads((gallery / "gallery.json").read_text())
    del kept["packing"]
    (gallery / "gallery.json").write_text(json.dumps(kept))


def test_a_gallery_goes_on_in_the_codec_it_was_begun_with(indexed: Indexed, tmp_path: Path) -> None:
    photos, gallery = write_photos(tmp_path / "photos"), tmp_path / "gallery"
    begun = glyphseek("index", photos, "--gallery", gallery, "--model", indexed.model, "--codec", "int8")
    add_photo(photos)

    again = glyphseek("index", photos, "--gallery", gallery, "--json")

    assert (begun.code, again.code) == (0, 0), again.err
    assert json.loads(again.out)["added"] == 1
    assert codecs_of(gallery) == {"int8"}
    assert json.loads((gallery / "gallery.json").read_text())["packing"] == {"codec": "int8", "keep_likelihood": 0.0}


@pytest.mark.parametrize("option", [("--codec", "int8"), ("--keep-likelihood", "0.5")])
def test_a_gallery_is_never_kept_in_two_ways(indexed: Indexed, tmp_path: Path, option: tuple[str, str]) -> None:
    gallery = indexed.copied(tmp_path / "copy")
    before = (gallery / "gallery.json").read_bytes()

    ended = glyphseek("index", indexed.photos, "--gallery", gallery, *option)

    assert ended.code == 2
    assert f"was indexed with {option[0]} " in ended.err
    assert f"Leave {option[0]} out, or index into another folder" in ended.err
    assert (gallery / "gallery.json").read_bytes() == before
    assert codecs_of(gallery) == {"fp16"}


def test_an_older_gallery_goes_on_in_the_codec_of_its_blobs_and_writes_it_down(
    indexed: Indexed, tmp_path: Path
) -> None:
    photos, gallery = write_photos(tmp_path / "photos"), tmp_path / "gallery"
    glyphseek("index", photos, "--gallery", gallery, "--model", indexed.model, "--codec", "int8")
    forget_packing(gallery)
    add_photo(photos)

    refused = glyphseek("index", photos, "--gallery", gallery, "--codec", "fp16")
    ended = glyphseek("index", photos, "--gallery", gallery)

    assert refused.code == 2
    assert ended.code == 0, ended.err
    assert codecs_of(gallery) == {"int8"}
    assert json.loads((gallery / "gallery.json").read_text())["packing"]["codec"] == "int8"


@pytest.mark.parametrize("is_older", [True, False])
def test_a_gallery_without_a_blob_takes_the_codec_that_is_asked_for(
    indexed: Indexed, tmp_path: Path, is_older: bool
) -> None:
    photos, gallery = write_photos(tmp_path / "photos"), tmp_path / "gallery"
    (tmp_path / "none").mkdir()
    glyphseek("index", tmp_path / "none", "--gallery", gallery, "--model", indexed.model)
    if is_older:
        forget_packing(gallery)

    ended = glyphseek("index", photos, "--gallery", gallery, "--allow-move", "--codec", "int8")

    assert ended.code == 0, ended.err
    assert codecs_of(gallery) == {"int8"}
