from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glyphseek.datasets.scenes.numbers import draw_number
from glyphseek.datasets.scenes.words import WordSettings, WordSource, strip_marks
from glyphseek.errors import SettingError
from glyphseek.queries import normalize

ONLY_WORDS = WordSettings(languages=(), signs=0, names=0, numbers=0, made_up=0, jumbles=0, punctuated=0)


def test_words_are_printable_ascii_without_spaces_and_not_too_long(words: WordSource) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        word = words.draw(rng)
        assert word.isascii()
        assert word.isprintable()
        assert " " not in word
        assert normalize(word)
        assert len(word) <= words.settings.longest


def test_excluded_words_are_drawn_in_no_case_and_by_no_kind(words: WordSource) -> None:
    seen = Counter(normalize(words.draw(np.random.default_rng([0, index]))) for index in range(1500))
    held_out = [word for word, _ in seen.most_common(40)]
    rest = WordSource.build(words.settings, exclude=[word.upper() for word in held_out])
    again = {normalize(rest.draw(np.random.default_rng([0, index]))) for index in range(1500)}
    plain = {rest.draw_plain(np.random.default_rng([1, index])) for index in range(500)}
    assert again.isdisjoint(held_out)
    assert plain.isdisjoint(held_out)


def test_frequent_words_are_drawn_more_often_than_rare_ones(tmp_path: Path) -> None:
    listed = ["w" + "".join("abcdefghij"[int(digit)] for digit in f"{place:03d}") for place in range(1000)]
    (tmp_path / "list.txt").write_text("\n".join(f"{word} {1000 - place}" for place, word in enumerate(listed)))
    source = WordSource.build(ONLY_WORDS, files=[tmp_path / "list.txt"])
    rng = np.random.default_rng(0)
    ranks = [listed.index(source.draw_plain(rng)) for _ in range(4000)]
    assert np.mean([rank < 100 for rank in ranks]) > 0.2
    assert np.mean([rank >= 900 for rank in ranks]) > 0.02


def test_the_cases_have_the_shares_of_the_settings() -> None:
    source = WordSource.build(replace(ONLY_WORDS, languages=(("en", 1.0),), vocabulary=2000, upper=1.0, title=0.0))
    rng = np.random.default_rng(0)
    assert all(not any(letter.islower() for letter in source.draw(rng)) for _ in range(300))


def test_excluding_everything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("alpha\nbeta\n")
    settings = WordSettings(languages=())
    with pytest.raises(SettingError, match="no dictionary word is left"):
        WordSource.build(settings, files=[tmp_path / "list.txt"], exclude=["Alpha", "BETA"])


def test_marks_are_stripped() -> None:
    assert strip_marks("Café") == "Cafe"
    assert strip_marks("naïve") == "naive"


def test_every_number_has_a_digit_and_no_space() -> None:
    rng = np.random.default_rng(0)
    numbers = [draw_number(rng) for _ in range(2000)]
    assert all(any(letter.isdigit() for letter in number) and " " not in number for number in numbers)
    assert len(set(numbers)) > 1000


def test_two_sources_of_the_same_settings_draw_the_same(words: WordSource) -> None:
    twin = WordSource.build(words.settings)
    ours, theirs = np.random.default_rng(4), np.random.default_rng(4)
    assert [words.draw(ours) for _ in range(200)] == [twin.draw(theirs) for _ in range(200)]
