import json
from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark, load_benchmarks
from glyphseek.errors import InputError


def _gallery(folder: Path, queries: object) -> None:
    write_photos(folder / "images", "1.jpg", "2.jpg")
    write(folder / "text_queries.json", json.dumps(queries))


def test_each_folder_is_a_gallery_of_its_own(tmp_path: Path) -> None:
    _gallery(tmp_path / "word", {"coffee": ["1.jpg"]})
    _gallery(tmp_path / "phrase", {"bank of america": ["2.jpg"], "nobody": []})
    word, phrase = load_benchmarks(tmp_path)
    assert (word.name, phrase.name) == ("MQTR word", "MQTR phrase")
    assert word.query_list("all").relevant == {"coffee": {"1.jpg"}}
    assert phrase.query_list("all").relevant == {"bank of america": {"2.jpg"}}


def test_one_gallery_can_be_loaded_by_itself(tmp_path: Path) -> None:
    _gallery(tmp_path / "semantic", {"a shop that sells bread": ["1.jpg"]})
    _gallery(tmp_path / "word", {"coffee": ["1.jpg"]})
    assert load_benchmark(tmp_path / "semantic").name == "MQTR semantic"
    with pytest.raises(InputError, match="holds 2 galleries"):
        load_benchmark(tmp_path)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    _gallery(tmp_path / "word", {"coffee": ["9.jpg"]})
    with pytest.raises(InputError, match=r"such as 9\.jpg"):
        load_benchmark(tmp_path)


def test_queries_of_another_form_are_refused(tmp_path: Path) -> None:
    _gallery(tmp_path / "word", ["coffee"])
    with pytest.raises(InputError, match=r"text_queries\.json is not"):
        load_benchmark(tmp_path)
