"""Which photos and queries `glyphseek eval` measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from glyphseek.cli.measuring import UNTAUGHT, add_untaught, keep_held_out, open_benchmarks
from glyphseek.errors import InputError, SettingError
from glyphseek.evaluation import Benchmark, BenchmarkImage, QueryList
from glyphseek.training.annotated import is_held_out_photo, is_held_out_word

LEFT_OUT = "street"
TAUGHT = "coffee"


def benchmark_of(relevant: dict[str, set[str]], *, names: list[str]) -> Benchmark:
    queries = QueryList(name="all", relevant={query: frozenset(found) for query, found in relevant.items()})
    images = tuple(BenchmarkImage(name=name, path=Path(name)) for name in names)
    return Benchmark(name="toy", images=images, query_lists=(queries, QueryList(name="top1", relevant={})))


def names_of_both_folds() -> tuple[str, str]:
    """Return a photo that training leaves out and one that it may take."""
    names = [f"{number}.png" for number in range(100)]
    return next(n for n in names if is_held_out_photo(Path(n))), next(
        n for n in names if not is_held_out_photo(Path(n))
    )


def test_the_words_that_training_leaves_out_are_a_list_of_their_own_behind_the_others() -> None:
    own = benchmark_of({TAUGHT: {"a"}, LEFT_OUT: {"a", "b"}, f"{TAUGHT} {LEFT_OUT}": {"a"}}, names=["a", "b"])

    known = add_untaught(own)

    assert is_held_out_word(LEFT_OUT)
    assert not is_held_out_word(TAUGHT)
    assert known.query_lists[:-1] == own.query_lists
    assert known.query_lists[-1] == QueryList(name=UNTAUGHT, relevant={LEFT_OUT: frozenset({"a", "b"})})


def test_nothing_is_added_where_no_word_was_left_out_or_the_name_is_taken() -> None:
    taught = benchmark_of({TAUGHT: {"a"}}, names=["a"])
    known = add_untaught(benchmark_of({LEFT_OUT: {"a"}}, names=["a"]))

    assert add_untaught(taught) == taught
    assert add_untaught(known) == known


def test_the_held_out_fold_has_the_lists_that_its_photos_answer() -> None:
    left, taken = names_of_both_folds()

    fold = keep_held_out(add_untaught(benchmark_of({TAUGHT: {left}, LEFT_OUT: {taken}}, names=[left, taken])))

    assert [image.name for image in fold.images] == [left]
    assert [(one.name, dict(one.relevant)) for one in fold.query_lists] == [
        ("all (held out)", {TAUGHT: frozenset({left})})
    ]


def test_a_fold_that_answers_no_query_is_bad_input() -> None:
    left, taken = names_of_both_folds()

    with pytest.raises(InputError, match="none of the 1 held-out photos of toy answers a query of all, top1"):
        keep_held_out(benchmark_of({TAUGHT: {taken}}, names=[left, taken]))


def test_the_list_is_asked_by_its_name_and_is_not_added_to_lists_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for word in (TAUGHT, LEFT_OUT):
        Image.new("RGB", (8, 8)).save(tmp_path / f"images/{word}.png")
    rows = [json.dumps({"image": f"images/{word}.png", "words": [word]}) for word in (TAUGHT, LEFT_OUT)]
    (tmp_path / "gallery.jsonl").write_text("\n".join(rows) + "\n")

    def lists(*names: str) -> list[str]:
        (opened,) = open_benchmarks([(tmp_path, False)], "test", names)
        return [queries.name for queries in opened.query_lists]

    assert lists()[-1] == UNTAUGHT
    assert lists("all") == ["all"]
    assert lists(UNTAUGHT, "all") == [UNTAUGHT, "all"]
    with pytest.raises(SettingError, match=f"'rare'; it has all, .*{UNTAUGHT}"):
        lists("rare")
