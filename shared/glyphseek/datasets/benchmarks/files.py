"""What all loaders share: finding files, reading them with errors that name them, and looking at image sizes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from PIL import Image, UnidentifiedImageError
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from glyphseek.errors import InputError
from glyphseek.evaluation.benchmark import BenchmarkImage, Polygon, QueryList
from glyphseek.evaluation.published import comparable_column
from glyphseek.images import has_image_suffix


def read_text(path: Path) -> str:
    """Return a file's text as UTF-8, a byte order mark left out. Raises InputError naming the file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise InputError(f"{path} cannot be read as UTF-8 text: {cause}") from cause


def read_json(path: Path) -> Any:  # noqa: ANN401 - the caller states what it expects
    """Return the JSON document in a file. Raises InputError naming the file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as cause:
        raise InputError(f"{path} is not JSON: {cause}") from cause


def read_json_lines(path: Path) -> list[Any]:
    """Return the JSON value of each line of a file. Raises InputError naming file and line."""
    values: list[Any] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as cause:
            raise InputError(f"{path}, line {number} is not JSON: {cause}") from cause
    return values


def read_relevant(path: Path, images: Sequence[BenchmarkImage]) -> dict[str, frozenset[str]]:
    """Return {query: names of relevant images} from a JSON file of lists; queries without images are left out.

    Raises InputError when the file is not that, or names an image that is not among `images`.
    """
    document: object = read_json(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} is not {{query: [image names]}}")
    relevant: dict[str, frozenset[str]] = {}
    for query, names in cast(dict[str, object], document).items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in cast(list[object], names)):
            raise InputError(f"{path} does not list image names for the query {query!r}")
        if names:
            relevant[query] = frozenset(cast(list[str], names))
    check_names(images, frozenset[str]().union(*relevant.values()), path)
    return relevant


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML document. Raises InputError naming the file."""
    try:
        return ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError) as cause:
        raise InputError(f"{path} cannot be read as XML: {cause}") from cause


def required_text(element: ElementTree.Element, tag: str, source: Path) -> str:
    """Return the text inside the child `tag`, "" when that is empty. Raises InputError when there is no such child."""
    child = element.find(tag)
    if child is None:
        raise InputError(f"a <{element.tag}> of {source} has no <{tag}>")
    return (child.text or "").strip()


def read_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file as nested numpy arrays. Raises InputError naming the file."""
    try:
        return cast(dict[str, Any], loadmat(path))
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as cause:
        raise InputError(f"{path} is not a MATLAB file of version 7 or older: {cause}") from cause


def pick_folder(root: Path, pattern: str, split: str) -> Path:
    """Return the folder, `root` or below, that holds files of that pattern and is not named after the other split.

    Raises InputError when that is none, or more than one.
    """
    other = "train" if split == "test" else "test"
    folders = sorted({path.parent for path in root.rglob(pattern)})
    left = [folder for folder in folders if other not in str(folder.relative_to(root)).lower()]
    if len(left) != 1:
        found = ", ".join(str(folder) for folder in left or folders) or "none"
        raise InputError(f"{root} needs one folder with {pattern} for the {split} split; found {found}")
    return left[0]


def comparable(queries: QueryList, column: str, images: Sequence[BenchmarkImage]) -> QueryList:
    """Return the list, marked as that column of the papers' tables if its numbers of images and queries are theirs."""
    return dataclasses.replace(
        queries, comparable_to=comparable_column(column, images=len(images), queries=len(queries))
    )


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, by name. Raises InputError when there are none."""
    if not folder.is_dir():
        raise InputError(f"there is no folder of images {folder}")
    found = sorted(path for path in folder.iterdir() if has_image_suffix(path))
    if not found:
        raise InputError(f"{folder} holds no images")
    return found


def with_sizes(images: Iterable[BenchmarkImage]) -> tuple[BenchmarkImage, ...]:
    """Return the images with the size of each annotated one, read from its header.

    Raises InputError naming the first image that is missing or not readable.
    """
    return tuple(dataclasses.replace(image, size=_size(image.path)) if image.items else image for image in images)


def check_names(images: Sequence[BenchmarkImage], wanted: Iterable[str], source: Path) -> None:
    """Raise InputError when `source` names an image that the gallery does not hold."""
    missing = set(wanted) - {image.name for image in images}
    if missing:
        raise InputError(f"{source} names {len(missing)} images that are not there, such as {min(missing)}")


def pair_points(numbers: Sequence[float]) -> Polygon:
    """Return x1, y1, x2, y2, ... as corners. Raises InputError for fewer than three or an odd number."""
    if len(numbers) < 6 or len(numbers) % 2:
        raise InputError(f"a polygon needs three or more pairs of numbers, not {len(numbers)} numbers")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def rectangle(left: float, top: float, width: float, height: float) -> Polygon:
    """Return the corners of a box, clockwise from the top left."""
    right, bottom = left + width, top + height
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as cause:
        raise InputError(f"the benchmark's image {path} cannot be read: {cause}") from cause
