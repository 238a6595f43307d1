from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.command_line import PHOTOS, Indexed, glyphseek, write_model
from PIL import Image


def test_hits_are_printed_as_a_table(indexed: Indexed) -> None:
    ended = glyphseek("search", "coffee", "--gallery", indexed.gallery)

    assert ended.code == 0, ended.err
    assert all(name in ended.out for name in PHOTOS)
    assert "recall+match" in ended.out
    assert "coffee" in ended.out


def test_json_holds_every_query_with_hits_boxes_and_timings(indexed: Indexed) -> None:
    ended = glyphseek("search", "coffee", "open AND taxi", "--gallery", indexed.gallery, "--top", "2", "--json")

    assert ended.code == 0, ended.err
    first, second = json.loads(ended.out)
    assert first["query"] == "coffee"
    assert first["total_ms"] > 0
    assert [len(one["hits"]) for one in (first, second)] == [2, 2]
    assert first["hits"][0]["score"] >= first["hits"][1]["score"]
    assert [match["term"] for match in second["hits"][0]["matches"]] == ["open", "taxi"]
    left, top, right, bottom = first["hits"][0]["matches"][0]["box"]
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1


def test_one_picture_holds_the_hits_of_all_queries(indexed: Indexed, tmp_path: Path) -> None:
    one, two = tmp_path / "one.png", tmp_path / "two.png"

    single = glyphseek("search", "coffee", "--gallery", indexed.gallery, "--picture", one)
    double = glyphseek("search", "coffee", "taxi", "--gallery", indexed.gallery, "--picture", two, "--json")

    assert (single.code, double.code) == (0, 0)
    assert f"picture: {one}" in single.out
    assert len(json.loads(double.out)) == 2
    with Image.open(one) as first, Image.open(two) as both:
        assert first.format == "PNG"
        assert first.width == both.width == 1600
        assert both.height == 2 * first.height


def test_a_picture_in_a_missing_folder_is_one_line(indexed: Indexed, tmp_path: Path) -> None:
    ended = glyphseek("search", "coffee", "--gallery", indexed.gallery, "--picture", tmp_path / "no" / "hits.png")

    assert ended.code == 1
    assert "StoreUnavailable: cannot write the picture" in ended.err


@pytest.mark.parametrize(
    ("query", "reason"), [("coffee AND", "QueryError"), ("", "QueryError"), ('~"a bakery"', "no understanding")]
)
def test_a_query_that_cannot_be_asked_ends_with_2(indexed: Indexed, query: str, reason: str) -> None:
    ended = glyphseek("search", query, "--gallery", indexed.gallery)

    assert ended.code == 2
    assert ended.err.startswith("QueryError: ")
    assert reason in ended.err
    assert ended.out == ""


def test_searching_without_a_gallery_says_how_to_make_one(tmp_path: Path) -> None:
    ended = glyphseek("search", "coffee", "--gallery", tmp_path / "none")

    assert ended.code == 1
    assert ended.err.startswith("GalleryNotFound: ")
    assert "glyphseek index" in ended.err


def test_a_gallery_file_that_is_no_json_is_named(indexed: Indexed, tmp_path: Path) -> None:
    (tmp_path / "gallery.json").write_text("{")

    ended = glyphseek("info", "--gallery", tmp_path)

    assert ended.code == 1
    assert f"GalleryDamaged: {tmp_path / 'gallery.json'}" in ended.err


def test_a_model_that_was_replaced_since_indexing_is_refused_with_both_names(indexed: Indexed, tmp_path: Path) -> None:
    gallery = indexed.copied(tmp_path / "copy")
    description = json.loads((gallery / "gallery.json").read_text())
    description["model"] = str(write_model(tmp_path / "retrained", seed=2, name="tdsl-retrained"))
    (gallery / "gallery.json").write_text(json.dumps(description))

    ended = glyphseek("search", "coffee", "--gallery", gallery)

    assert ended.code == 1
    assert "ModelMismatch" in ended.err
    assert "tdsl-tiny" in ended.err
    assert "tdsl-retrained" in ended.err
