from pathlib import Path

import numpy as np
import pytest
from datasets.benchmarks.photos import write, write_photos
from scipy.io import savemat

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError


def _cell(values: list[str]) -> np.ndarray:
    """A column cell array of strings, as MATLAB saves a list of file names."""
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


def _save(root: Path, queries: dict[str, list[str]]) -> None:
    """Write data.mat as published: 1 x N structs of two fields, each holding nested cells."""
    data = np.empty((1, len(queries)), dtype=[("query", object), ("imageNames", object)])
    for place, (query, names) in enumerate(queries.items()):
        data[0, place] = (_cell([query]), _cell(names))
    savemat(root / "data.mat", {"data": data})


def test_queries_and_their_images_are_read(tmp_path: Path) -> None:
    write_photos(tmp_path / "imgDatabase", "img_1.jpg", "img_2.jpg", "img_3.jpg")
    _save(tmp_path, {"Coffee": ["img_1.jpg", "img_3.jpg"], "MOTEL": ["img_2.jpg"]})
    benchmark = load_benchmark(tmp_path)
    assert benchmark.query_list("all").relevant == {"coffee": {"img_1.jpg", "img_3.jpg"}, "motel": {"img_2.jpg"}}
    assert [image.name for image in benchmark.images] == ["img_1.jpg", "img_2.jpg", "img_3.jpg"]


def test_photos_are_not_opened_for_their_size(tmp_path: Path) -> None:
    write_photos(tmp_path / "imgDatabase", "img_1.jpg")
    write(tmp_path / "imgDatabase" / "img_2.jpg", "not an image")
    _save(tmp_path, {"coffee": ["img_1.jpg"]})
    assert [image.size for image in load_benchmark(tmp_path).images] == [None, None]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "imgDatabase", "img_1.jpg")
    _save(tmp_path, {"coffee": ["img_9.jpg"]})
    with pytest.raises(InputError, match=r"such as img_9\.jpg"):
        load_benchmark(tmp_path)


def test_a_matlab_file_of_something_else_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path / "imgDatabase", "img_1.jpg")
    savemat(tmp_path / "data.mat", {"other": [1]})
    with pytest.raises(InputError, match=r"data\.mat does not hold 'data'"):
        load_benchmark(tmp_path)
    savemat(tmp_path / "data.mat", {"data": [1.0, 2.0]})
    with pytest.raises(InputError, match=r"data\.mat does not hold 'data'"):
        load_benchmark(tmp_path)
