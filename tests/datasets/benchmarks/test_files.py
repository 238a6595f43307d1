from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks.files import (
    list_images,
    pair_points,
    pick_folder,
    read_json_lines,
    read_text,
    with_sizes,
)
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import BenchmarkImage, TextItem


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a.txt", "sale", encoding="utf-8-sig")) == "sale"


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt cannot be read as UTF-8"):
        read_text(write(tmp_path / "a.txt", "café", encoding="latin-1"))


def test_the_damaged_line_is_numbered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.jsonl, line 2"):
        read_json_lines(write(tmp_path / "a.jsonl", "{}\n{\n"))


def test_images_are_listed_by_name_and_other_files_are_not(tmp_path: Path) -> None:
    write_photos(tmp_path, "b.png", "a.JPG")
    write(tmp_path / "readme.txt", "")
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="no folder of images"):
        list_images(tmp_path / "nowhere")


def test_only_annotated_photos_are_opened_for_their_size(tmp_path: Path) -> None:
    write_photos(tmp_path, "a.jpg", size=(70, 50))
    annotated = BenchmarkImage(name="a", path=tmp_path / "a.jpg", items=(TextItem(text="sale"),))
    bare = BenchmarkImage(name="b", path=tmp_path / "nowhere.jpg")
    assert [image.size for image in with_sizes([annotated, bare])] == [(70, 50), None]


def test_points_are_paired() -> None:
    assert pair_points([1, 2, 3, 4, 5, 6]) == ((1, 2), (3, 4), (5, 6))


@pytest.mark.parametrize("numbers", [[1.0, 2.0, 3.0, 4.0], [1.0] * 7])
def test_points_that_make_no_polygon_are_refused(numbers: list[float]) -> None:
    with pytest.raises(InputError, match="three or more pairs"):
        pair_points(numbers)


def test_the_folder_of_the_other_split_is_never_picked(tmp_path: Path) -> None:
    for folder in ("train_gt", "test_gt"):
        write(tmp_path / folder / "gt_1.txt", "")
    assert pick_folder(tmp_path, "gt_*.txt", "test").name == "test_gt"
    assert pick_folder(tmp_path, "gt_*.txt", "train").name == "train_gt"
