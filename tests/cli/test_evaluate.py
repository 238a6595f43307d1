from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli.command_line import Indexed, glyphseek
from PIL import Image

WORDS = ("coffee", "open", "taxi", "coffee", "hotel", "exit")
BOX = [[8.0, 40.0], [120.0, 40.0], [120.0, 66.0], [8.0, 66.0]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a gallery with ground truth: six photos, each with one word of known place."""
    folder = tmp_path_factory.mktemp("truth")
    (folder / "images").mkdir()
    rows: list[str] = []
    boxes: list[str] = []
    for place, word in enumerate(WORDS):
        name = f"images/{place:03}.png"
        pixels = np.full((96, 128, 3), 40 + 30 * place, np.uint8)
        cv2.putText(pixels, word, (8, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(folder / name), pixels)
        rows.append(json.dumps({"image": name, "words": [word]}))
        boxes.append(json.dumps({"image": name, "items": [{"t": word, "poly": BOX}]}))
    (folder / "gallery.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "boxes.jsonl").write_text("\n".join(boxes) + "\n")
    return folder


def test_report_plot_and_table_are_written(indexed: Indexed, dataset: Path, tmp_path: Path) -> None:
    report, plot, table = tmp_path / "report.json", tmp_path / "plot.png", tmp_path / "table.md"

    ended = glyphseek(
        *("eval", dataset, "--model", indexed.model, "--cache", tmp_path / "cache"),
        *("--report", report, "--plot", plot, "--table", table),
    )

    assert ended.code == 0, ended.err
    assert "mAP" in ended.out
    assert ended.err.count("images/s of the model alone") == 1  # for all query lists
    marks = [one["map_percent"] for one in json.loads(report.read_text())["reports"]]
    assert marks
    assert all(0 < mark <= 100 for mark in marks)
    assert table.read_text().count("|") > 10
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG"


def test_one_query_list_is_asked_by_its_name_and_an_unknown_one_is_refused(indexed: Indexed, dataset: Path) -> None:
    asked = ("eval", dataset, "--model", indexed.model, "--json", "--queries")

    told = json.loads(glyphseek(*asked, "all").out)["reports"]
    refused = glyphseek(*asked, "nonsense")

    assert {one["query_list"] for one in told} == {"all"}
    assert refused.code == 2
    assert "'nonsense'" in refused.err
    assert "all" in refused.err


def test_a_second_run_reads_the_cache_and_gives_the_same_marks(indexed: Indexed, dataset: Path, tmp_path: Path) -> None:
    words = ("eval", dataset, "--model", indexed.model, "--cache", tmp_path / "cache", "--json")

    first, second = (json.loads(glyphseek(*words).out)["reports"] for _ in range(2))

    assert "images/s of the model alone" in first[0]["figures"]
    assert "images/s of the model alone" not in second[0]["figures"]
    assert [drop_figures(one) for one in first] == [drop_figures(one) for one in second]


def test_vectors_are_kept_as_asked(indexed: Indexed, dataset: Path, tmp_path: Path) -> None:
    words = ("eval", dataset, "--model", indexed.model, "--cache", tmp_path / "cache", "--json")

    ended = [glyphseek(*words, "--codec", codec) for codec in ("fp16", "int8")]

    assert [one.code for one in ended] == [0, 0]
    sizes = [
        sum(blob.stat().st_size for blob in (tmp_path / "cache" / kept).rglob("*.blob"))
        for kept in ("features", "features-int8")
    ]
    assert 0 < sizes[1] < sizes[0]


def drop_figures(report: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in report.items() if name != "figures"}


def test_held_out_measures_only_the_photos_that_training_leaves_out(
    indexed: Indexed, dataset: Path, tmp_path: Path
) -> None:
    from glyphseek.training.annotated import is_held_out_photo

    left = [path for path in (dataset / "images").iterdir() if is_held_out_photo(path)]

    ended = glyphseek("eval", dataset, "--model", indexed.model, "--held-out", "--json")

    assert 0 < len(left) < len(WORDS)
    assert ended.code == 0, ended.err
    reports = json.loads(ended.out)["reports"]
    assert {report["images"] for report in reports} == {len(left)}


def test_several_sets_are_measured_in_one_run_those_trained_on_by_what_was_left_out(
    indexed: Indexed, dataset: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"

    ended = glyphseek(
        *("eval", dataset, "--trained-on", dataset, "--model", indexed.model, "--report", report, "--queries", "all")
    )

    assert ended.code == 0, ended.err
    whole, left = json.loads(report.read_text())["reports"]
    assert whole["images"] == len(WORDS) > left["images"] > 0
    assert "held-out" in left["benchmark"]
    assert whole["figures"]["parameters"] > 1000
    assert whole["small_text"]["queries"] == 0
    assert "under 24 px" in ended.out


def test_nothing_to_measure_on_is_bad_input() -> None:
    ended = glyphseek("eval")

    assert ended.code == 2
    assert "--trained-on" in ended.err


def test_the_ocr_route_without_its_engine_names_the_extra(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)

    ended = glyphseek("eval", dataset, "--method", "ocr")

    assert ended.code == 1
    assert "MissingExtra: the OCR route needs RapidOCR: pip install 'glyphseek[ocr]'" in ended.err


def test_a_folder_of_no_known_layout_is_bad_input(tmp_path: Path) -> None:
    ended = glyphseek("eval", tmp_path)

    assert ended.code == 2
    assert str(tmp_path) in ended.err
