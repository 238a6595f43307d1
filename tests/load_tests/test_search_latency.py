from __future__ import annotations

from pathlib import Path

import pytest
from search_latency import draw_lines, main


def test_the_words_of_a_gallery_are_drawn_the_same_again() -> None:
    lines = draw_lines(7, 5)
    assert lines == draw_lines(7, 5)
    assert [len(line) for line in lines] == [5] * 7


def test_a_gallery_that_is_kept_is_searched_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--images", "30", "--words", "6", "--searches", "3", "--keep", str(tmp_path)]
    assert main(command) in (0, 1)  # as fast as asked, or not
    first = capsys.readouterr().out
    assert main(command) in (0, 1)
    again = capsys.readouterr().out
    assert first.startswith("built in ")
    assert again.startswith("30 images of 6 words; first search ")
    for kind in ("word", "two words", "phrase", "prefix", "tolerant", "not"):
        assert f"\n{kind} " in again
    assert main([*command, "--images", "31"]) == 2
    assert capsys.readouterr().out == f"{tmp_path} has 30 images, not 31\n"


def test_a_gallery_that_is_not_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    main(["--images", "10", "--words", "5", "--searches", "1", "--folder", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []
