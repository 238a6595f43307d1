"""What tokens are told, on a window small enough to check by hand."""

from __future__ import annotations

import numpy as np

from glyphseek.models.cayn.dense.settings import ALPHABET, STRIDE
from glyphseek.training.annotated import AnnotatedWord
from glyphseek.training.reading.targets import make_targets
from glyphseek.training.scenes import TrainingScene

COLUMNS = 12


def window(*words: tuple[str | None, tuple[float, float, float, float]]) -> TrainingScene:
    annotated = tuple(AnnotatedWord(word=word, box_4=np.array(box, np.float32)) for word, box in words)
    return TrainingScene(pixels=np.zeros((8 * STRIDE, COLUMNS * STRIDE, 3), np.uint8), words=annotated)


def places(flat: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    return [divmod(int(one), COLUMNS) for one in flat]


def test_the_tokens_in_the_middle_of_a_word_stand_for_it() -> None:
    targets = make_targets(window(("exit", (8, 8, 72, 24))))
    assert set(targets.words) == {"exit"}
    assert places(targets.word_places_N) == [(1, 4), (1, 5), (2, 4), (2, 5)]
    assert targets.text_HW.max() == targets.text_HW[1, 4] == 1
    assert targets.text_HW[6, 10] < 0.01


def test_letters_are_told_from_left_to_right() -> None:
    targets = make_targets(window(("exit", (8, 8, 72, 24))))
    found = zip(places(targets.letter_places_M), targets.letters_M, strict=True)
    row = {column: ALPHABET[code] for (line, column), code in found if line == 1}
    assert "".join(row[column] for column in range(1, 9)) == "eexxiitt"


def test_a_word_smaller_than_a_token_has_its_nearest_one() -> None:
    targets = make_targets(window(("a", (9, 9, 17, 17))))
    assert places(targets.word_places_N) == [(1, 1)]


def test_words_that_cannot_be_read_are_neither_text_nor_background() -> None:
    targets = make_targets(window((None, (0, 0, 32, 16))))
    assert not targets.weight_HW[:2, :4].any()
    assert targets.weight_HW[3:, :].all()
    assert targets.words == ()


def test_words_too_large_for_the_scale_are_background_beyond_a_border_range() -> None:
    between, beyond = make_targets(window(("hi", (0, 0, 80, 40)))), make_targets(window(("hi", (0, 0, 90, 60))))
    assert not between.weight_HW[:5, :10].any()
    assert beyond.weight_HW.all()
    assert between.words == beyond.words == ()
    assert not beyond.text_HW.any()


def test_letters_too_narrow_for_a_token_are_not_told() -> None:
    assert not len(make_targets(window(("abcdefghijklmnop", (8, 8, 72, 24)))).letters_M)
