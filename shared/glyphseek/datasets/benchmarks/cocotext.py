"""COCO-Text: as the retrieval papers share it (queries.txt, gts/, images/), or as published (cocotext.v2.json)."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from glyphseek.datasets.benchmarks.files import (
    comparable,
    list_images,
    pair_points,
    read_json,
    read_text,
    with_sizes,
)
from glyphseek.datasets.benchmarks.layout import Layout, Split
from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import (
    Benchmark,
    BenchmarkImage,
    QueryList,
    TextItem,
    all_words,
    alphanumeric,
    gather,
    most_frequent_words,
)

TOP = 500
_ANNOTATIONS = ("cocotext.v2.json", "COCO_Text.json")
_IMAGE_FOLDERS = ("train2014", "images", "images/train2014")


def load_retrieval(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return the retrieval set with the lists "all" (queries.txt) and "top100"; gts/X.txt has one word of X.jpg a line.

    Queries and words are made alphanumeric; queries that no image answers are left out. `split` has no meaning
    here. Raises InputError naming the image without gts file.
    """
    images = tuple(_listed_image(path, root / "gts" / f"{path.stem}.txt") for path in list_images(root / "images"))
    asked = {alphanumeric(line) for line in read_text(root / "queries.txt").splitlines()} - {""}
    words = gather((alphanumeric(item.text), image.name) for image in images for item in image.items)
    relevant = {query: names for query, names in words.items() if query in asked}
    every = comparable(QueryList(name="all", relevant=relevant), "CTR", images)
    return (
        Benchmark(name="COCO-Text retrieval", images=images, query_lists=(every, most_frequent_words(images, 100))),
    )


def load_annotations(root: Path, split: Split) -> tuple[Benchmark, ...]:
    """Return the images of a split (test: COCO-Text's "val") that carry legible text, with "all" and "top500".

    Images are looked for in train2014/, images/ and images/train2014/. Raises InputError naming what is missing.
    """
    source = next(root / name for name in _ANNOTATIONS if (root / name).is_file())
    folder = next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise InputError(f"{root} has none of the image folders {', '.join(_IMAGE_FOLDERS)}")
    document: _Document = read_json(source)
    try:
        images = with_sizes(_annotated_images(document, folder, "val" if split == "test" else "train"))
    except (KeyError, TypeError) as cause:
        raise InputError(f"{source} lacks {cause}") from cause
    lists = (all_words(images), most_frequent_words(images, TOP))
    return (Benchmark(name=f"COCO-Text {split}", images=images, query_lists=lists),)


RETRIEVAL_LAYOUT = Layout(
    name="COCO-Text retrieval",
    looks_for="queries.txt and gts/",
    matches=lambda root: (root / "queries.txt").is_file() and (root / "gts").is_dir(),
    load=load_retrieval,
)

ANNOTATION_LAYOUT = Layout(
    name="COCO-Text",
    looks_for=" or ".join(_ANNOTATIONS),
    matches=lambda root: any((root / name).is_file() for name in _ANNOTATIONS),
    load=load_annotations,
)


class _Image(TypedDict):
    file_name: str
    set: str


class _Annotation(TypedDict):
    image_id: int
    mask: list[float]
    utf8_string: str
    legibility: str


class _Document(TypedDict):
    imgs: dict[str, _Image]
    anns: dict[str, _Annotation]


def _listed_image(path: Path, truth: Path) -> BenchmarkImage:
    if not truth.is_file():
        raise InputError(f"there is no list of words {truth} for {path}")
    words = (line.strip() for line in read_text(truth).splitlines())
    return BenchmarkImage(name=path.name, path=path, items=tuple(TextItem(text=word) for word in words if word))


def _annotated_images(document: _Document, folder: Path, part: str) -> list[BenchmarkImage]:
    items: dict[str, list[TextItem]] = {}
    for annotation in document["anns"].values():
        if annotation["legibility"] == "legible" and annotation.get("utf8_string"):
            item = TextItem(text=annotation["utf8_string"], polygon=pair_points(annotation["mask"]))
            items.setdefault(str(annotation["image_id"]), []).append(item)
    return [
        BenchmarkImage(name=image["file_name"], path=folder / image["file_name"], items=tuple(items[number]))
        for number, image in document["imgs"].items()
        if image["set"] == part and number in items
    ]
