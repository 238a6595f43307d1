"""Street View Text as published: train.xml and test.xml, images named in them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from glyphseek.datasets.benchmarks.files import comparable, read_xml, rectangle, required_text, with_sizes
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import (
    Benchmark,
    BenchmarkImage,
    QueryList,
    TextItem,
    gather,
    most_frequent_words,
)

TOP = 100


def load(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return one split with the lists "all" (every distinct tag, lower case, as the papers ask) and "top100".

    Raises InputError when the split's file is missing or an entry lacks its name, tag or box.
    """
    source = _folder(root) / f"{split}.xml"
    images = with_sizes(_image(entry, source) for entry in read_xml(source).iter("image"))
    tags = gather((item.text.lower(), image.name) for image in images for item in image.items if item.text)
    every = comparable(QueryList(name="all", relevant=tags), "SVT", images)
    lists = (every, most_frequent_words(images, TOP))
    return (Benchmark(name=f"SVT {split}", images=images, query_lists=lists),)


LAYOUT = Layout(
    name="SVT",
    looks_for="test.xml or train.xml, here or in svt1/",
    matches=lambda root: any((_folder(root) / f"{split}.xml").is_file() for split in ("test", "train")),
    load=load,
)


def _folder(root: Path) -> Path:
    return root / "svt1" if (root / "svt1").is_dir() else root


def _image(entry: ElementTree.Element, source: Path) -> BenchmarkImage:
    name = required_text(entry, "imageName", source)
    items = tuple(_item(box, source) for box in entry.iter("taggedRectangle"))
    return BenchmarkImage(name=name, path=source.parent / name, items=items)


def _item(box: ElementTree.Element, source: Path) -> TextItem:
    try:
        sides = [float(box.attrib[key]) for key in ("x", "y", "width", "height")]
    except (KeyError, ValueError) as cause:
        raise InputError(f"a taggedRectangle of {source} lacks the number {cause}") from cause
    return TextItem(text=required_text(box, "tag", source), polygon=rectangle(*sides))
