"""SCUT-CTW1500 as published: XML labels, or the text files of its end-to-end test (`x1,y1,..,####text`)."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from glyphseek.datasets.benchmarks.files import (
    comparable,
    list_images,
    pair_points,
    read_text,
    read_xml,
    required_text,
    with_sizes,
)
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import Benchmark, BenchmarkImage, TextItem, all_words, most_frequent_words

TOP = 100
_IMAGE_FOLDERS = ("{split}_images", "text_image", "images/{split}", "images")
_LABEL_FOLDERS = ("ctw1500_{split}_labels", "{split}_label_curved", "gt_ctw1500", "{split}_labels", "labels/{split}")


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return one split with the lists "all" and "top100" (words of the labelled lines, by images, as MSTAR).

    The labels of image 1001.jpg are 1001.xml, 1001.txt or 0001001.txt. Raises InputError naming the folders that
    were looked for, the image without labels, or the label that is damaged.
    """
    photos = _folder(root, _IMAGE_FOLDERS, split)
    labels = {_number(path): path for path in _label_files(_folder(root, _LABEL_FOLDERS, split))}
    images = with_sizes(_image(path, labels, root) for path in list_images(photos))
    top = comparable(most_frequent_words(images, TOP), "CTW1500", images)
    return (Benchmark(name=f"CTW1500 {split}", images=images, query_lists=(all_words(images), top)),)


LAYOUT = Layout(
    name="CTW1500",
    looks_for=" or ".join(name.format(split="test") + "/" for name in _LABEL_FOLDERS),
    matches=lambda root: any(
        (root / name.format(split=split)).is_dir() for name in _LABEL_FOLDERS for split in ("test", "train")
    ),
    load=load,
)


def _folder(root: Path, names: tuple[str, ...], split: Split) -> Path:
    asked = [name.format(split=split) for name in names]
    for name in asked:
        if (root / name).is_dir():
            return root / name
    raise InputError(f"{root} has none of the folders {', '.join(asked)}")


def _label_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {".xml", ".txt"})


def _number(path: Path) -> str:
    return path.stem.lstrip("0")


def _image(path: Path, labels: dict[str, Path], root: Path) -> BenchmarkImage:
    label = labels.get(_number(path))
    if label is None:
        raise InputError(f"{root} has no label file for {path}")
    items = _read_xml_items(label) if label.suffix == ".xml" else _read_text_items(label)
    return BenchmarkImage(name=path.name, path=path, items=items)


def _read_xml_items(label: Path) -> tuple[TextItem, ...]:
    return tuple(_xml_item(box, label) for box in read_xml(label).iter("box"))


def _xml_item(box: ElementTree.Element, label: Path) -> TextItem:
    return _item(required_text(box, "label", label), required_text(box, "segs", label), label)


def _read_text_items(label: Path) -> tuple[TextItem, ...]:
    lines = [line for line in read_text(label).splitlines() if line.strip()]
    if bad := [line for line in lines if "####" not in line]:
        raise InputError(f"{label} has a line without ####: {bad[0]!r}")
    return tuple(_item(text, numbers, label) for numbers, _, text in (line.partition("####") for line in lines))


def _item(text: str, numbers: str, label: Path) -> TextItem:
    try:
        corners = pair_points([float(number) for number in re.findall(r"[^,\s]+", numbers)])
    except ValueError as cause:
        raise InputError(f"{label} has a corner that is no number: {cause}") from cause
    return TextItem(text=text.strip() or "###", polygon=corners)
