from pathlib import Path

import numpy as np
import pytest
from datasets.benchmarks.photos import write, write_photos
from scipy.io import savemat

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.datasets.benchmarks.totaltext import parse_text
from glyphseek.errors import InputError

TEXT = """x: [[115 503 494 115]], y: [[322 346 426 404]], ornt: [u'm'], transcriptions: [u'nauGHTY']
x: [[ 61  62
 93  90]], y: [[ 1  2
 13  14]], ornt: [u'c'], transcriptions: [u"Don't"]
x: [[1 2 2]], y: [[1 1 2]], ornt: [u'#'], transcriptions: [u'#']
"""


def _mat(path: Path, variable: str, *words: str) -> None:
    rows = np.empty((len(words), 6), dtype=object)
    for row, word in zip(rows, words, strict=True):
        row[:] = ["x:", np.array([[1, 9, 9, 1]]), "y:", np.array([[2, 2, 6, 6]]), np.array([word]), np.array(["c"])]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {variable: rows})


def test_text_items_may_be_wrapped_and_quoted_either_way() -> None:
    items = parse_text(TEXT)
    assert [(item.text, item.is_legible) for item in items] == [("nauGHTY", True), ("Don't", True), ("#", False)]
    assert items[0].polygon == ((115, 322), (503, 346), (494, 426), (115, 404))
    assert items[1].polygon == ((61, 1), (62, 2), (93, 13), (90, 14))


def test_an_image_without_text_is_an_empty_file() -> None:
    assert parse_text("\n") == ()


@pytest.mark.parametrize("text", ["hello", "x: [[1 2 3]], y: [[1 2 3]]", TEXT + "x: [[1"])
def test_text_that_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="words could be read"):
        parse_text(text)


def test_text_ground_truth_of_the_asked_split_is_read(tmp_path: Path) -> None:
    for split, word in (("Train", "wrong"), ("Test", "right")):
        write_photos(tmp_path / "Images" / split, "img1.jpg")
        line = f"x: [[1 9 9 1]], y: [[2 2 6 6]], ornt: [u'h'], transcriptions: [u'{word}']\n"
        write(tmp_path / "Groundtruth" / "Text" / split / "poly_gt_img1.txt", line)
    test, train = load_benchmark(tmp_path), load_benchmark(tmp_path, split="train")
    assert test.name == "Total-Text test"
    assert test.query_list("all").relevant == {"right": {"img1.jpg"}}
    assert test.images[0].size == (40, 30)
    assert train.query_list("all").relevant == {"wrong": {"img1.jpg"}}


@pytest.mark.parametrize(("variable", "name"), [("polygt", "poly_gt_img1.mat"), ("gt", "gt_img1.mat")])
def test_matlab_ground_truth_is_read(tmp_path: Path, variable: str, name: str) -> None:
    write_photos(tmp_path / "Images" / "Test", "img1.jpg")
    _mat(tmp_path / "Groundtruth" / "Polygon" / "Test" / name, variable, "Coffee", "#")
    [image] = load_benchmark(tmp_path).images
    assert [(item.text, item.is_legible) for item in image.items] == [("Coffee", True), ("#", False)]
    assert image.items[0].polygon == ((1, 2), (9, 2), (9, 6), (1, 6))


def test_the_two_lists_of_the_papers_differ(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images" / "Test", "img1.jpg", "img2.jpg")
    _mat(tmp_path / "gt" / "gt_img1.mat", "gt", *["Sale!"] * 4, "A-Z")
    _mat(tmp_path / "gt" / "gt_img2.mat", "gt", "a-z")
    benchmark = load_benchmark(tmp_path)
    assert list(benchmark.query_list("repeated").relevant) == ["sale"]
    assert list(benchmark.query_list("top60").relevant) == ["a-z", "sale"]
    assert benchmark.query_list("top60").comparable_to is None


def test_an_image_without_ground_truth_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images" / "Test", "img1.jpg")
    with pytest.raises(InputError, match=r"has no poly_gt_img1\.txt"):
        load_benchmark(tmp_path)


def test_a_damaged_ground_truth_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images" / "Test", "img1.jpg")
    write(tmp_path / "poly_gt_img1.txt", "hello")
    with pytest.raises(InputError, match=r"poly_gt_img1\.txt is not a ground truth"):
        load_benchmark(tmp_path)


def test_a_matlab_file_of_something_else_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images" / "Test", "img1.jpg")
    savemat(tmp_path / "gt_img1.mat", {"other": [1]})
    with pytest.raises(InputError, match="holds neither"):
        load_benchmark(tmp_path)
    write(tmp_path / "gt_img1.mat", "hello")
    with pytest.raises(InputError, match="not a MATLAB file"):
        load_benchmark(tmp_path)
