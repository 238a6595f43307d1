"""Photos with the words that occur in them: from the project's gallery layout, or from MLT-2017 as it is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glyphseek.errors import InputError
from glyphseek.images import has_image_suffix
from glyphseek.models.cayn.settings import CaynSettings
from glyphseek.training.annotated import is_held_out_photo, is_held_out_word, read_annotated_photos, spell

MLT_FIELDS = 10
"""Of a line of MLT-2017's gt_*.txt: eight coordinates, the language, and the transcription, which may hold commas."""
MLT_LANGUAGE = "Latin"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPhoto:
    """A photo on disk and all words that can be read in it, each once. No boxes: the method needs none."""

    path: Path
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One word of one photo; `photo` is its place in the list of photos."""

    photo: int
    word: str


def read_word_photos(folder: Path, *, held_out: bool) -> list[WordPhoto]:
    """Return the photos of one fold of a folder that have a word, in the order of the annotation.

    The folder has a boxes.jsonl (the project's layout), or gt_NAME.txt files of MLT-2017 and the images NAME.* anywhere
    below. Raises InputError for another folder, and for a line of MLT that is not as expected.
    """
    if (folder / "boxes.jsonl").is_file():
        annotated = read_annotated_photos(folder, held_out=held_out)
        photos = [
            WordPhoto(path=one.path, words=frozenset(w.word for w in one.words if w.word is not None))
            for one in annotated
        ]
    else:
        photos = [photo for photo in read_mlt(folder) if is_held_out_photo(photo.path) is held_out]
    return [photo for photo in photos if photo.words]


def read_mlt(folder: Path) -> Iterator[WordPhoto]:
    """Yield every image of an MLT-2017 folder with its legible Latin words, by the name of its annotation."""
    images = {path.stem: path for path in sorted(folder.rglob("*")) if has_image_suffix(path)}
    annotations = sorted(folder.rglob("gt_*.txt"))
    if not annotations:
        raise InputError(f"{folder} has neither boxes.jsonl nor gt_*.txt: not a folder of annotated photos")
    for path in annotations:
        image = images.get(path.stem.removeprefix("gt_"))
        if image is None:
            raise InputError(f"{path} annotates an image that is not there")
        yield WordPhoto(path=image, words=frozenset(read_mlt_words(path)))


def read_mlt_words(path: Path) -> Iterator[str]:
    """Yield the legible Latin words of one gt_*.txt, spelt as the model spells them."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split(",", MLT_FIELDS - 1)
        if len(cells) != MLT_FIELDS:
            raise InputError(f"{path}, line {number} has {len(cells)} fields, expected {MLT_FIELDS}")
        word = spell(cells[-1].strip())
        if cells[-2] == MLT_LANGUAGE and word is not None:
            yield word


def list_samples(photos: list[WordPhoto], settings: CaynSettings, shortest: int) -> list[Sample]:
    """Return every (photo, word) that may be trained on: words the model can be asked for and that are not held out."""
    return [
        Sample(photo=index, word=word)
        for index, photo in enumerate(photos)
        for word in sorted(photo.words)
        if shortest <= len(word) <= settings.max_query_characters and not is_held_out_word(word)
    ]
