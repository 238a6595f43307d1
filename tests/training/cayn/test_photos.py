from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from training.cayn.folders import many_photos, write_gallery, write_mlt

from glyphseek.errors import InputError
from glyphseek.models.cayn.settings import TINY_DENSE
from glyphseek.training.annotated import is_held_out_photo, is_held_out_word
from glyphseek.training.cayn.photos import WordPhoto, list_samples, read_mlt, read_word_photos


def test_a_gallery_is_read_by_folds_without_boxes(tmp_path: Path) -> None:
    given = many_photos(30)
    folder = write_gallery(tmp_path, given)

    training, held_out = (read_word_photos(folder, held_out=fold) for fold in (False, True))

    assert held_out
    assert {photo.path.name for photo in training} | {photo.path.name for photo in held_out} == set(given)
    assert not any(is_held_out_photo(photo.path) for photo in training)
    assert all(photo.words == set(given[photo.path.name]) for photo in [*training, *held_out])


def test_photos_without_a_word_are_left_out(tmp_path: Path) -> None:
    folder = write_gallery(tmp_path, {"a.png": ["###"], "b.png": ["Open", "###", "OPEN"]})

    found = [photo for fold in (False, True) for photo in read_word_photos(folder, held_out=fold)]

    assert [(photo.path.name, photo.words) for photo in found] == [("b.png", frozenset({"open"}))]


def test_mlt_gives_its_latin_words(tmp_path: Path) -> None:
    folder = write_mlt(
        tmp_path,
        {
            "img_1.jpg": ["Latin,Open", "Latin,Open", "Latin,###", "Symbols,24"],
            "img_2.png": ["Korean,커피", "Latin,Crème"],
            "img_3.jpg": ["Latin,fish, chips"],
        },
    )

    found = {photo.path.name: photo.words for photo in read_mlt(folder)}

    assert found == {"img_1.jpg": {"open"}, "img_2.png": {"creme"}, "img_3.jpg": frozenset()}


def lose_image(folder: Path) -> None:
    next(folder.rglob("*.jpg")).unlink()


def cut_line(folder: Path) -> None:
    next(folder.rglob("gt_*")).write_text("1,2,3\n")


def lose_annotation(folder: Path) -> None:
    next(folder.rglob("gt_*")).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lose_image, "an image that is not there"),
        (cut_line, "line 1 has 3 fields, expected 10"),
        (lose_annotation, "neither boxes.jsonl nor gt_"),
    ],
)
def test_a_damaged_mlt_folder_is_named(tmp_path: Path, spoil: Callable[[Path], None], told: str) -> None:
    folder = write_mlt(tmp_path, {"img_1.jpg": ["Latin,Open"]})
    spoil(folder)

    with pytest.raises(InputError, match=told):
        read_word_photos(folder, held_out=False)


def test_samples_are_words_that_may_be_trained_on() -> None:
    held_out = next(word for word in (f"word{i}" for i in range(1000)) if is_held_out_word(word))
    photos = [
        WordPhoto(path=Path("a.png"), words=frozenset({"to", "open", held_out, "x" * 17})),
        WordPhoto(path=Path("b.png"), words=frozenset({"exit", "cafe"})),
    ]

    found = [(sample.photo, sample.word) for sample in list_samples(photos, TINY_DENSE, 3)]

    assert found == [(0, "open"), (1, "cafe"), (1, "exit")]
