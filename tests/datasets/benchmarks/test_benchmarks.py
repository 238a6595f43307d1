from pathlib import Path

import pytest

from glyphseek.datasets.benchmarks import LAYOUTS, load_benchmark
from glyphseek.errors import InputError


def test_an_unknown_folder_names_everything_that_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        load_benchmark(tmp_path)
    for layout in LAYOUTS:
        assert f"{layout.name}: {layout.looks_for}" in str(raised.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        load_benchmark(tmp_path / "nowhere")


def test_every_layout_has_a_name_of_its_own() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
