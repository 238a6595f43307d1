"""A small run of the measurement of words with mistakes and of beginnings."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.word_gallery import LETTERS_CARD, WordModel, write_features, write_letters
from inexact_words import answers, edit, judge, main, make_terms, measure, write_row
from rapidfuzz.distance import Levenshtein

from glyphseek.errors import SettingError
from glyphseek.queries import Term, TermKind
from glyphseek.ranking import Gathered
from glyphseek.types import Calibration, Instances, ModelCard

WORDS = [frozenset({"coffee", "open"}), frozenset({"coffees"}), frozenset[str](), frozenset({"taxi", "hotels"})]


class LettersModel(WordModel):
    """The model of written words, that keeps letters."""

    @property
    def card(self) -> ModelCard:
        return LETTERS_CARD


def gathered_words() -> Gathered:
    found: list[Instances] = []
    for words in WORDS:
        instances = write_features(sorted(words)).instances
        assert instances is not None
        found.append(replace(instances, letters_NSA=write_letters(sorted(words))))
    return Gathered(found)


def test_questions_are_made_from_the_words_and_the_same_seed_asks_the_same() -> None:
    kinds = dict(make_terms(WORDS, LETTERS_CARD.alphabet, seed=1))

    assert kinds == dict(make_terms(WORDS, LETTERS_CARD.alphabet, seed=1))
    assert list(kinds) == ["one edit", "two edits", "3 letters", "4 letters", "5 letters"]
    assert [term.text for term in kinds["3 letters"]] == ["cof", "hot"]
    assert [term.text for term in kinds["5 letters"]] == ["coffe"]
    assert {term.edits for term in kinds["one edit"]} == {1}
    assert all(any(answers(term, one) for one in WORDS) for terms in kinds.values() for term in terms)


def test_an_edit_is_one_of_three_and_never_more_than_one() -> None:
    random = np.random.default_rng(0)
    edited = [edit("coffee", LETTERS_CARD.alphabet, random) for _ in range(200)]

    assert {len(text) for text in edited} == {5, 6, 7}
    assert max(Levenshtein.distance("coffee", text) for text in edited) == 1


def test_a_photo_answers_by_a_beginning_or_within_the_edits() -> None:
    near = Term(text="cofee", kind=TermKind.TOLERANT, edits=1)

    assert [answers(near, one) for one in WORDS] == [True, False, False, False]
    assert [answers(replace(near, edits=2), one) for one in WORDS] == [True, True, False, False]
    assert [answers(Term(text="hot", kind=TermKind.PREFIX), one) for one in WORDS] == [False, False, False, True]


def test_letters_find_what_vectors_of_written_words_do_not() -> None:
    terms = [Term(text="cof", kind=TermKind.PREFIX), Term(text="hot", kind=TermKind.PREFIX)]

    row = measure("3 letters", terms, WORDS, LettersModel(), gathered_words())

    assert (row.queries, row.answers) == (2, 3)
    assert row.letters.map_percent == 100.0 > row.vectors.map_percent
    assert (row.letters.confident, row.letters.right) == (3, 3)
    assert row.vectors.right == 0
    assert write_row(row).split()[:4] == ["3", "letters", "2", "3"]


def test_confident_answers_are_those_at_the_threshold_and_right_ones_are_relevant() -> None:
    scores_QI = np.array([[0.9, 0.7, 0.1]], np.float32)

    way = judge(np.array([[True, False, True]]), scores_QI, Calibration(slope=10.0, offset=-5.0, threshold=0.5))

    assert (way.confident, way.right) == (2, 1)
    assert way.map_percent == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_a_model_without_letters_is_refused() -> None:
    with pytest.raises(SettingError, match="keeps no letters"):
        measure("none", [Term(text="open")], WORDS, WordModel(), gathered_words())


def test_the_whole_run_prints_a_line_for_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    lines: list[str] = []
    for place, word in enumerate(["coffee", "hotels", "openers"]):
        pixels = np.full((96, 160, 3), 40 + 30 * place, np.uint8)
        cv2.putText(pixels, word, (8, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(tmp_path / f"images/{place}.png"), pixels)
        item = {"t": word, "poly": [[8, 40], [150, 40], [150, 66], [8, 66]]}
        lines.append(json.dumps({"image": f"images/{place}.png", "items": [item]}))
    (tmp_path / "boxes.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "argv", ["inexact_words.py", str(tmp_path), "--model", "glyphseek/tdsl-small"])

    assert main() == 0

    said = capsys.readouterr().out.splitlines()
    assert "3 photos" in said[0]
    assert said[2].startswith("one edit ")
    assert all(len(line.split()) == 10 for line in said[2:])
