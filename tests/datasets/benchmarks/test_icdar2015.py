from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError

LINES = "377,117,463,117,465,130,378,130,Genaxis Theatre\r\n1,2,9,2,9,6,1,6,###\r\n1,2,9,2,9,6,1,6,1,000 PAX\r\n"


def _set(root: Path, split: str, word: str) -> None:
    write_photos(root / f"ch4_{split}_images", "img_2.jpg", "img_10.jpg")
    truths = root / f"Challenge4_{split.capitalize()}_Task4_GT"
    write(truths / "gt_img_2.txt", LINES, encoding="utf-8-sig")
    write(truths / "gt_img_10.txt", f"1,2,9,2,9,6,1,6,{word}\n")


def test_lines_have_a_byte_order_mark_commas_and_illegible_words(tmp_path: Path) -> None:
    _set(tmp_path, "test", "sale")
    first, second = load_benchmark(tmp_path).images
    assert (first.name, second.name) == ("img_2.jpg", "img_10.jpg")
    assert [item.text for item in first.items] == ["Genaxis Theatre", "###", "1,000 PAX"]
    assert first.items[0].polygon == ((377, 117), (463, 117), (465, 130), (378, 130))


def test_the_asked_split_is_read(tmp_path: Path) -> None:
    _set(tmp_path, "test", "right")
    _set(tmp_path, "training", "wrong")
    assert "right" in load_benchmark(tmp_path).query_list("all").relevant
    train = load_benchmark(tmp_path, split="train")
    assert train.name == "ICDAR 2015 train"
    assert "wrong" in train.query_list("top100").relevant


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    _set(tmp_path, "training", "sale")
    with pytest.raises(InputError, match=r"for the test split; found .*Training_Task4"):
        load_benchmark(tmp_path)


def test_images_and_ground_truth_may_share_a_folder(tmp_path: Path) -> None:
    write_photos(tmp_path, "img_1.jpg")
    write(tmp_path / "gt_img_1.txt", "1,2,9,2,9,6,1,6,sale\n")
    assert load_benchmark(tmp_path).query_list("all").relevant == {"sale": {"img_1.jpg"}}


def test_two_ground_truths_of_a_split_are_refused(tmp_path: Path) -> None:
    _set(tmp_path, "test", "sale")
    write(tmp_path / "Challenge4_Test_Task1_GT" / "gt_img_2.txt", LINES)
    with pytest.raises(InputError, match="needs one folder"):
        load_benchmark(tmp_path)


def test_an_image_without_ground_truth_is_named(tmp_path: Path) -> None:
    _set(tmp_path, "test", "sale")
    write_photos(tmp_path / "ch4_test_images", "img_3.jpg")
    with pytest.raises(InputError, match=r"gt_img_3\.txt"):
        load_benchmark(tmp_path)


@pytest.mark.parametrize("line", ["1,2,3", "a,2,9,2,9,6,1,6,word"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    write_photos(tmp_path, "img_1.jpg")
    write(tmp_path / "gt_img_1.txt", line)
    with pytest.raises(InputError, match=r"gt_img_1\.txt has the line"):
        load_benchmark(tmp_path)
