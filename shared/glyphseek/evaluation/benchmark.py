"""The value every loader of a data set returns: a gallery, what is written in it, and the queries asked of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glyphseek.errors import InputError

Polygon = tuple[tuple[float, float], ...]
"""Corners x, y in pixels of the image file, in order around the text."""

ILLEGIBLE = frozenset({"###", "#"})
"""How the public data sets write a word that nobody can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextItem:
    """One annotated piece of text as it was written down; `polygon` is None where a data set gives no place."""

    text: str
    polygon: Polygon | None = None

    @property
    def is_legible(self) -> bool:
        """Return whether a reader could read it."""
        return self.text not in ILLEGIBLE


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkImage:
    """One photo of a gallery. `size` is its (width, height) in pixels where the loader has looked."""

    name: str
    path: Path
    items: tuple[TextItem, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryList:
    """Queries and, for each, the names of the images that answer it.

    `comparable_to` names the column of the papers' tables that was measured on these queries and this gallery, or is
    None when there is none.
    """

    name: str
    relevant: Mapping[str, frozenset[str]]
    comparable_to: str | None = None

    def __len__(self) -> int:
        return len(self.relevant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A gallery of photos in a fixed order, with one or more lists of queries, the fullest first."""

    name: str
    images: tuple[BenchmarkImage, ...]
    query_lists: tuple[QueryList, ...]

    def query_list(self, name: str) -> QueryList:
        """Return the list of that name; raises InputError naming the lists that exist."""
        for queries in self.query_lists:
            if queries.name == name:
                return queries
        known = ", ".join(queries.name for queries in self.query_lists)
        raise InputError(f"{self.name} has no query list {name!r}; it has: {known}")


def alphanumeric(text: str) -> str:
    """Return `text` in lower case with everything but a-z and 0-9 removed, spaces too, as the papers' lists have it."""
    return re.sub("[^a-z0-9]", "", text.lower())


def alphanumeric_words(text: str) -> list[str]:
    """Return the words of an annotation, cut at spaces and made alphanumeric; those without a-z0-9 are dropped."""
    return [word for word in map(alphanumeric, text.split()) if word]


def spelled_words(text: str) -> list[str]:
    """Return the words of an annotation in lower case, cut at spaces and freed of `. # ! & $` only, as MSTAR has it."""
    return text.lower().translate(str.maketrans("", "", ".#!&$")).split()


def all_words(images: Sequence[BenchmarkImage], *, min_length: int = 3) -> QueryList:
    """Return the list "all", in alphabetical order: the alphanumeric words of at least `min_length` characters."""
    pairs = [(word, image.name) for image, item in _legible(images) for word in alphanumeric_words(item.text)]
    return QueryList(name="all", relevant=gather(pair for pair in pairs if len(pair[0]) >= min_length))


def most_frequent_words(images: Sequence[BenchmarkImage], count: int) -> QueryList:
    """Return the list "topN": the `count` words longer than two characters found in most images, most frequent first.

    Words are those of `spelled_words`; words in equally many images are in alphabetical order.
    """
    pairs = [(word, image.name) for image, item in _legible(images) for word in spelled_words(item.text)]
    relevant = gather(pair for pair in pairs if len(pair[0]) > 2)
    ranked = sorted(relevant, key=lambda word: (-len(relevant[word]), word))[:count]
    return QueryList(name=f"top{count}", relevant={word: relevant[word] for word in ranked})


def repeated_words(images: Sequence[BenchmarkImage], *, min_length: int = 3, min_instances: int = 4) -> QueryList:
    """Return the list "repeated": alphanumeric words written at least `min_instances` times, as TDSL and CAYN ask."""
    every = all_words(images, min_length=min_length).relevant
    counts = Counter(word for _, item in _legible(images) for word in alphanumeric_words(item.text))
    return QueryList(
        name="repeated", relevant={word: names for word, names in every.items() if counts[word] >= min_instances}
    )


def gather(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return for each query, in alphabetical order, the set of image names it was paired with."""
    found: dict[str, set[str]] = {}
    for query, image in pairs:
        found.setdefault(query, set()).add(image)
    return {query: frozenset(found[query]) for query in sorted(found)}


def text_height(polygon: Polygon) -> float:
    """Return the height of the written line in pixels: of the strip with the polygon's area and outline.

    A strip of length l and height h, straight or bent, has area l*h and outline 2*(l+h); h is the shorter of the
    two, so that a single upright letter gives its width.
    """
    corners = list(zip(polygon, polygon[1:] + polygon[:1], strict=True))
    area = abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in corners)) / 2
    half_outline = sum(math.dist(start, end) for start, end in corners) / 2
    return (half_outline - math.sqrt(max(0.0, half_outline**2 - 4 * area))) / 2


def _legible(images: Sequence[BenchmarkImage]) -> list[tuple[BenchmarkImage, TextItem]]:
    return [(image, item) for image in images for item in image.items if item.is_legible]
