import json
from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError


def _gallery(root: Path) -> Path:
    write_photos(root, "images/a.jpg", "images/b.jpg", "images/c.jpg")
    rows = [("a", ["Big Sale!", "50%"]), ("b", ["SALE", "bigsale"]), ("c", [])]
    write(
        root / "gallery.jsonl",
        "".join(json.dumps({"image": f"images/{name}.jpg", "words": words}) + "\n" for name, words in rows),
    )
    return root


def _add_boxes(root: Path) -> None:
    poly = [[0, 0], [20, 0], [20, 10], [0, 10]]
    items = {"a": ["Big Sale!", "50%", "###"], "b": ["SALE", "bigsale"], "c": []}
    lines = [
        {"image": f"images/{name}.jpg", "items": [{"t": text, "poly": poly} for text in texts]}
        for name, texts in items.items()
    ]
    write(root / "boxes.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def test_lists_are_computed_when_there_are_no_files(tmp_path: Path) -> None:
    benchmark = load_benchmark(_gallery(tmp_path / "mine"))
    assert benchmark.name == "mine"
    assert [image.name for image in benchmark.images] == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
    assert benchmark.query_list("all").relevant == {
        "big": {"images/a.jpg"},
        "bigsale": {"images/b.jpg"},
        "sale": {"images/a.jpg", "images/b.jpg"},
    }
    assert list(benchmark.query_list("top100").relevant) == ["sale", "50%", "big", "bigsale"]


def test_polygons_and_sizes_come_with_boxes(tmp_path: Path) -> None:
    _add_boxes(_gallery(tmp_path))
    first, _, last = load_benchmark(tmp_path).images
    assert first.items[0].polygon == ((0, 0), (20, 0), (20, 10), (0, 10))
    assert [item.is_legible for item in first.items] == [True, True, False]
    assert first.size == (40, 30)
    assert last.items == ()


def test_fixed_lists_are_taken_as_they_are(tmp_path: Path) -> None:
    _gallery(tmp_path)
    write(tmp_path / "qrels.json", json.dumps({"zzz": ["images/c.jpg"]}))
    write(tmp_path / "qrels_top2.json", json.dumps({"sale": ["images/a.jpg"], "50%": ["images/a.jpg"]}))
    benchmark = load_benchmark(tmp_path)
    assert [queries.name for queries in benchmark.query_lists] == ["all", "top2"]
    assert benchmark.query_list("all").relevant == {"zzz": {"images/c.jpg"}}
    assert list(benchmark.query_list("top2").relevant) == ["sale", "50%"]


def test_a_list_that_names_a_missing_image_is_refused(tmp_path: Path) -> None:
    _gallery(tmp_path)
    write(tmp_path / "qrels.json", json.dumps({"sale": ["images/z.jpg"]}))
    with pytest.raises(InputError, match=r"names 1 images that are not there, such as images/z\.jpg"):
        load_benchmark(tmp_path)


@pytest.mark.parametrize("content", ['["sale"]', '{"sale": "images/a.jpg"}', '{"sale": [1]}', "{"])
def test_a_damaged_list_is_refused(tmp_path: Path, content: str) -> None:
    _gallery(tmp_path)
    write(tmp_path / "qrels.json", content)
    with pytest.raises(InputError, match=r"qrels\.json"):
        load_benchmark(tmp_path)


def test_a_list_with_another_name_is_refused(tmp_path: Path) -> None:
    _gallery(tmp_path)
    write(tmp_path / "qrels_topten.json", "{}")
    with pytest.raises(InputError, match=r"named qrels_topN\.json"):
        load_benchmark(tmp_path)


@pytest.mark.parametrize("line", ['{"image": "images/a.jpg"}', "[]", '{"image":'])
def test_a_damaged_line_is_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path / "gallery.jsonl", line + "\n")
    with pytest.raises(InputError, match=r"gallery\.jsonl"):
        load_benchmark(tmp_path)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    (_gallery(tmp_path) / "images" / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"images/a\.jpg cannot be read"):
        load_benchmark(tmp_path)
