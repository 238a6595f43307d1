from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError

XML = """<Annotations><image file="1001.jpg">
<box height="56" left="125" top="80" width="144"><label>{text}</label><segs>1,2,9,2,9,6,1,6</segs></box>
<box height="5" left="1" top="2" width="3"><label></label><segs>1,2,9,2,9,6,1,6</segs></box>
</image></Annotations>"""


def test_xml_labels_are_read_and_cut_into_words(tmp_path: Path) -> None:
    write_photos(tmp_path / "test_images", "1001.jpg")
    write(tmp_path / "ctw1500_test_labels" / "1001.xml", XML.format(text="Fish &amp; Chips"))
    benchmark = load_benchmark(tmp_path)
    [image] = benchmark.images
    assert [(item.text, item.is_legible) for item in image.items] == [("Fish & Chips", True), ("###", False)]
    assert image.items[0].polygon == ((1, 2), (9, 2), (9, 6), (1, 6))
    assert list(benchmark.query_list("top100").relevant) == ["chips", "fish"]
    assert list(benchmark.query_list("all").relevant) == ["chips", "fish"]


def test_text_labels_have_a_longer_number(tmp_path: Path) -> None:
    write_photos(tmp_path / "test_images", "1001.jpg", "1002.jpg")
    write(tmp_path / "gt_ctw1500" / "0001001.txt", "1,2,9,2,9,6,1,6,####Sale, now\n")
    write(tmp_path / "gt_ctw1500" / "0001002.txt", "1,2,9,2,9,6,1,6,#######\n")
    first, second = load_benchmark(tmp_path).images
    assert [item.text for item in first.items] == ["Sale, now"]
    assert [item.is_legible for item in second.items] == [False]


def test_the_training_split_has_its_own_folders(tmp_path: Path) -> None:
    write_photos(tmp_path / "train_images", "0001.jpg")
    write(tmp_path / "ctw1500_train_labels" / "0001.xml", XML.format(text="sale"))
    benchmark = load_benchmark(tmp_path, split="train")
    assert benchmark.name == "CTW1500 train"
    with pytest.raises(InputError, match="none of the folders test_images"):
        load_benchmark(tmp_path)


def test_an_image_without_labels_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "test_images", "1001.jpg", "1002.jpg")
    write(tmp_path / "ctw1500_test_labels" / "1001.xml", XML.format(text="sale"))
    with pytest.raises(InputError, match=r"no label file for .*1002\.jpg"):
        load_benchmark(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1001.xml", XML.replace("label>", "name>"), "no <label>"),
        ("1001.xml", XML.replace("1,2,9", "1,b,9"), "no number"),
        ("1001.txt", "1,2,9,2,9,6,1,6,sale", "without ####"),
        ("1001.txt", "1,2,9,2####sale", "three or more pairs"),
    ],
)
def test_damaged_labels_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    write_photos(tmp_path / "test_images", "1001.jpg")
    write(tmp_path / "gt_ctw1500" / name, content)
    with pytest.raises(InputError, match=message):
        load_benchmark(tmp_path)
