"""Every command with a model of global vectors and token maps: a CAYN of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.command_line import PHOTOS, Indexed, glyphseek, write_photos
from models.cayn.test_loading import write_cayn
from models.cayn.toy import toy_network
from PIL import Image


@pytest.fixture(scope="module", name="tokens")
def tokens_fixture(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("tokens")
    photos, model, gallery = write_photos(root / "photos"), root / "model", root / "gallery"
    write_cayn(model, toy_network())
    ended = glyphseek("index", photos, "--gallery", gallery, "--model", model)
    return Indexed(gallery=gallery, photos=photos, model=model, ended=ended)


def write_truth(root: Path) -> Path:
    """Write a set of the same photos with their words, and return its folder."""
    folder = write_photos(root / "set" / "images").parent
    rows = [{"image": f"images/{name}", "words": [Path(name).stem]} for name in PHOTOS]
    (folder / "gallery.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_photos_are_indexed_and_the_gallery_says_what_it_holds(tokens: Indexed) -> None:
    assert tokens.ended.code == 0, tokens.ended.err
    facts = json.loads(glyphseek("info", "--gallery", tokens.gallery, "--json").out)
    assert facts["images"] == len(PHOTOS)
    assert facts["features"] == "global, tokens"
    assert "words found" not in facts


def test_hits_are_reranked_and_have_a_place(tokens: Indexed) -> None:
    ended = glyphseek("search", "coffee", "--gallery", tokens.gallery, "--json")

    assert ended.code == 0, ended.err
    (answer,) = json.loads(ended.out)
    assert [hit["stages"] for hit in answer["hits"]] == [["recall", "rerank"]] * len(PHOTOS)
    assert answer["timings"]["rerank_ms"] > 0
    for hit in answer["hits"]:
        assert "attention" not in hit
        assert 0 <= hit["score"] <= 1
        (match,) = hit["matches"]
        if match["box"] is not None:
            left, top, right, bottom = match["box"]
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1


def test_how_many_are_reranked_is_asked_for(tokens: Indexed) -> None:
    for rerank in (0, 1, 3):
        ended = glyphseek("search", "coffee", "--gallery", tokens.gallery, "--rerank", str(rerank), "--json")
        hits = json.loads(ended.out)[0]["hits"]
        assert [len(hit["stages"]) for hit in hits] == [2] * rerank + [1] * (len(PHOTOS) - rerank)


def test_the_table_of_hits_names_the_stages(tokens: Indexed) -> None:
    ended = glyphseek("search", "coffee AND open", "--gallery", tokens.gallery)

    assert ended.code == 0, ended.err
    assert "recall+rerank" in ended.out


def test_a_picture_shows_attention_in_place_of_boxes(tokens: Indexed, tmp_path: Path) -> None:
    picture = tmp_path / "hits.png"

    ended = glyphseek("search", "coffee", "--gallery", tokens.gallery, "--picture", picture, "--json")

    assert ended.code == 0, ended.err
    with Image.open(picture) as drawn:
        colours = drawn.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 1000  # photos of two greys, lit up by degrees


def test_a_prefix_is_refused_with_the_reason(tokens: Indexed) -> None:
    ended = glyphseek("search", "coff*", "--gallery", tokens.gallery)

    assert ended.code == 2
    assert "compares whole words" in ended.err


def test_a_model_without_token_maps_refuses_to_rerank(indexed: Indexed) -> None:
    ended = glyphseek("search", "coffee", "--gallery", indexed.gallery, "--rerank", "5")

    assert ended.code == 2
    assert "is not reranked" in ended.err


def test_a_damaged_blob_is_listed_and_searched_around(tokens: Indexed, tmp_path: Path) -> None:
    gallery = tokens.copied(tmp_path / "copy")
    blob = next(iter((gallery / "features").rglob("*.blob")))
    blob.write_bytes(blob.read_bytes()[:-1])

    verified = glyphseek("verify", "--gallery", gallery)
    searched = glyphseek("search", "coffee", "--gallery", gallery)

    assert verified.code == 1
    assert "BlobDamaged" in verified.err
    assert searched.code == 0
    assert "degraded: rerank: blobs: 1 damaged (covered 67 %)" in searched.err


def test_photos_are_deleted_collected_and_exported(tokens: Indexed, tmp_path: Path) -> None:
    gallery = tokens.copied(tmp_path / "copy")

    assert glyphseek("delete", PHOTOS[0], "--gallery", gallery).code == 0
    assert "0 blobs" in glyphseek("gc", "--gallery", gallery).out
    lines = [json.loads(line) for line in glyphseek("export", "--gallery", gallery, "--boxes").out.splitlines()]

    assert sorted(line["names"][0] for line in lines) == sorted(PHOTOS[1:])
    assert {str(line["instances"]) for line in lines} == {"[]"}


def test_a_codec_without_its_codebook_is_refused(tokens: Indexed, tmp_path: Path) -> None:
    ended = glyphseek(
        "index", tokens.photos, "--gallery", tmp_path / "g", "--model", tokens.model, "--codec", "residual2"
    )

    assert ended.code == 2
    assert "residual2 needs a codebook" in ended.err


def test_marks_before_and_after_the_rerank_stand_side_by_side(tokens: Indexed, tmp_path: Path) -> None:
    truth = write_truth(tmp_path)

    ended = glyphseek(
        *("eval", truth, "--model", tokens.model, "--rerank", "0", "--rerank", "2", "--rerank", "3", "--json")
    )

    assert ended.code == 0, ended.err
    reports = json.loads(ended.out)["reports"]
    methods = list(dict.fromkeys(one["method"] for one in reports))
    assert [method.rpartition(", ")[2] for method in methods] == ["recall alone", "rerank 2", "rerank 3"]
    assert all(0 < one["map_percent"] <= 100 for one in reports)


def test_without_a_depth_recall_and_the_recommended_rerank_are_measured(tokens: Indexed, tmp_path: Path) -> None:
    truth = write_truth(tmp_path)

    ended = glyphseek("eval", truth, "--model", tokens.model)

    assert ended.code == 0, ended.err
    assert "recall alone" in ended.out
    assert "rerank 48" in ended.out
