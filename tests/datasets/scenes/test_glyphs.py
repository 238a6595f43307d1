from __future__ import annotations

import numpy as np
import pytest

from glyphseek.datasets.scenes.fonts import Face, FontBook
from glyphseek.datasets.scenes.glyphs import Spacing, draw_block, draw_word, letter_height


@pytest.fixture
def face(fonts: FontBook) -> Face:
    return next(face for face in fonts.faces if face.path.name == "DejaVuSans.ttf")


def test_boxes_hold_the_ink_of_their_words_and_nothing_more(face: Face) -> None:
    block = draw_block(face.at(40), [["Open", "now"], ["Exit"]], Spacing(), 1.2, 0.5, np.random.default_rng(0))
    covered = np.zeros_like(block.mask)
    for left, top, right, bottom in block.boxes:
        window = block.mask[int(top) : int(bottom), int(left) : int(right)]
        assert window[0].any()
        assert window[-1].any()
        assert window[:, 0].any()
        assert window[:, -1].any()
        covered[int(top) : int(bottom), int(left) : int(right)] = 255
    assert not block.mask[covered == 0].any()


def test_words_of_a_line_come_from_left_to_right_and_lines_from_top_to_bottom(face: Face) -> None:
    first, second, third = draw_block(
        face.at(30), [["one", "two"], ["three"]], Spacing(), 1.1, 0.0, np.random.default_rng(0)
    ).boxes
    assert first[2] < second[0]
    assert third[1] > max(first[3], second[3]) - 3


def test_letter_spacing_widens_a_word_by_its_gaps(face: Face) -> None:
    rng = np.random.default_rng(0)
    tight = draw_word(face.at(40), "HHHH", Spacing(), rng).mask.shape[1]
    loose = draw_word(face.at(40), "HHHH", Spacing(letters=0.5), rng).mask.shape[1]
    assert loose - tight == pytest.approx(3 * 0.5 * 40, abs=2)


def test_downward_letters_stand_below_each_other(face: Face) -> None:
    piece = draw_word(face.at(40), "HOTEL", Spacing(downwards=True), np.random.default_rng(0))
    rows, columns = piece.mask.shape
    assert rows > 4 * columns


def test_a_blank_has_no_ink(face: Face) -> None:
    assert draw_word(face.at(20), " ", Spacing(), np.random.default_rng(0)).mask.size == 0


def test_letters_below_each_other_have_their_own_height_and_others_that_of_the_word() -> None:
    assert letter_height(12, 50, "HOTEL") == 10
    assert letter_height(60, 20, "HOTEL") == 20
    assert letter_height(5, 20, "I") == 20
