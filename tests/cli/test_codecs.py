from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import cv2
import numpy as np
import pytest
from cli.command_line import Indexed, glyphseek
from models.cayn.test_loading import write_cayn
from models.cayn.toy import toy_network

from glyphseek.models.loading import open_model
from glyphseek.ports import TokenScorer
from glyphseek.training.annotated import is_held_out_photo

WORDS = ("coffee", "open", "taxi", "coffee", "hotel", "exit")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a gallery with ground truth: six photos, each with one word."""
    folder = tmp_path_factory.mktemp("truth")
    (folder / "images").mkdir()
    rows: list[str] = []
    for place, word in enumerate(WORDS):
        name = f"images/{place:03}.png"
        pixels = np.full((96, 128, 3), 40 + 30 * place, np.uint8)
        cv2.putText(pixels, word, (8, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(folder / name), pixels)
        rows.append(json.dumps({"image": name, "words": [word]}))
    (folder / "gallery.jsonl").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(name="reader")
def reader_fixture(tmp_path: Path) -> Path:
    """Return the folder of a model with token maps, of random weights."""
    write_cayn(tmp_path / "reader", toy_network())
    return tmp_path / "reader"


def test_every_codec_and_mask_gets_a_row_as_json_and_markdown(dataset: Path, reader: Path, tmp_path: Path) -> None:
    ended = glyphseek(
        *("codecs", dataset, "--model", reader, "--width", "0", "--width", "5", "--mask", "0.5", "--rerank", "3"),
        *("--json", "--markdown", tmp_path / "table.md"),
    )

    assert ended.code == 0, ended.err
    table = json.loads(ended.out)
    names = ["fp16", "int8", "residual4", "residual2", "int8"]
    assert [row["codec"] for row in table["rows"]] == ["fp32", *names, *names]
    assert {row["stored_width"] for row in table["rows"][6:]} == {5}
    assert table["rows"][0]["lost_map"] == 0
    assert all(0 < row["map_percent"] <= 100 for row in table["rows"])
    assert all(row["encode_mb_per_s"] > 0 and row["decode_mb_per_s"] > 0 for row in table["rows"])
    assert (tmp_path / "table.md").read_text().count("\n|") == 13


def test_the_table_is_printed_for_people(dataset: Path, reader: Path) -> None:
    ended = glyphseek("codecs", dataset, "--model", reader, "--codec", "int8", "--width", "0")

    assert ended.code == 0, ended.err
    assert "bytes/image" in ended.out
    assert "without a rerank" in ended.out
    assert [line.split()[0] for line in ended.out.splitlines() if line.startswith(("fp32", "int8"))] == ["fp32", "int8"]


def test_an_attached_codebook_packs_a_gallery_that_is_then_searched(
    dataset: Path, reader: Path, tmp_path: Path
) -> None:
    words = ("codecs", dataset, "--model", reader, "--codec", "int8", "--width", "0", "--attach", "6")
    attached = glyphseek(*words, "--held-out")
    assert attached.code == 0, attached.err
    model = open_model(str(reader))
    assert isinstance(model, TokenScorer)
    assert model.codebook is not None
    assert model.codebook.stored_width == 6
    assert model.codebook.fingerprint in attached.err

    gallery = tmp_path / "gallery"
    indexed = glyphseek("index", dataset / "images", "--gallery", gallery, "--model", reader, "--codec", "residual4")
    assert indexed.code == 0, indexed.err
    found = glyphseek("search", "coffee", "--gallery", gallery, "--json")
    assert found.code == 0, found.err
    assert "rerank" in json.loads(found.out)[0]["hits"][0]["stages"]
    assert glyphseek("verify", "--gallery", gallery).code == 0


def test_a_second_run_with_a_cache_gives_the_same_marks_and_encodes_nothing(
    dataset: Path, reader: Path, tmp_path: Path
) -> None:
    words = ("codecs", dataset, "--model", reader, "--width", "4", "--cache", tmp_path / "cache", "--json")
    runs = [json.loads(glyphseek(*words).out) for _ in range(2)]

    blobs = list((tmp_path / "cache" / "features-exact").rglob("*.blob"))
    marks = [[(row["bytes_per_image"], row["map_percent"]) for row in run["rows"]] for run in runs]
    assert len(blobs) == len(WORDS)
    assert marks[0] == marks[1]


def test_held_out_photos_are_measured_and_codebooks_fitted_on_the_others(
    dataset: Path, reader: Path, tmp_path: Path
) -> None:
    held_out = [path for path in sorted((dataset / "images").iterdir()) if is_held_out_photo(path)]
    assert 0 < len(held_out) < len(WORDS)
    words = ("codecs", dataset, "--model", reader, "--width", "4", "--codec", "int8", "--cache", tmp_path / "cache")

    ended = glyphseek(*words, "--held-out", "--json")

    assert ended.code == 0, ended.err
    table = json.loads(ended.out)
    assert table["images"] == len(held_out)
    assert table["benchmark"].endswith("held-out")
    assert len(list((tmp_path / "cache" / "features-exact").rglob("*.blob"))) == len(WORDS)
    both = json.loads(glyphseek(*words, "--json").out)
    assert both["rows"][1]["bytes_per_image"] == table["rows"][1]["bytes_per_image"]


def test_a_codebook_of_the_measured_photos_is_warned_of_and_never_attached(dataset: Path, reader: Path) -> None:
    words = ("codecs", dataset, "--model", reader, "--codec", "int8", "--width", "4")
    told = "the photos that they are measured on"

    assert told in glyphseek(*words).err
    assert told not in glyphseek(*words, "--held-out").err
    refused = glyphseek(*words, "--attach", "4", "--fit-on", dataset)
    assert refused.code == 2
    assert told in refused.err
    assert not (reader / "codebook.safetensors").exists()


def test_a_codebook_of_other_photos_is_attached_without_a_warning(dataset: Path, reader: Path, tmp_path: Path) -> None:
    copytree(dataset, tmp_path / "others")

    ended = glyphseek(
        *("codecs", dataset, "--model", reader, "--codec", "int8", "--width", "4", "--attach", "4"),
        *("--fit-on", tmp_path / "others"),
    )

    assert ended.code == 0, ended.err
    assert "measured on" not in ended.err
    assert (reader / "codebook.safetensors").is_file()


def test_an_unknown_query_list_is_refused_with_the_known_ones(dataset: Path, reader: Path) -> None:
    ended = glyphseek("codecs", dataset, "--model", reader, "--queries", "top1000000")

    assert ended.code == 2
    assert "has no query list 'top1000000'" in ended.err


def test_a_model_without_token_maps_is_refused(dataset: Path, indexed: Indexed) -> None:
    ended = glyphseek("codecs", dataset, "--model", indexed.model)

    assert ended.code == 2
    assert "has no token maps" in ended.err


def test_a_width_above_the_models_is_refused_with_both(dataset: Path, reader: Path) -> None:
    ended = glyphseek("codecs", dataset, "--model", reader, "--width", "5000")

    assert ended.code == 2
    assert "stored at width 5000" in ended.err
