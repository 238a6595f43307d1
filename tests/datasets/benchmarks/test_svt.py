from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError

BOX = '<taggedRectangle height="10" width="30" x="5" y="6"><tag>{tag}</tag></taggedRectangle>'
IMAGE = (
    "<image><imageName>img/{name}.jpg</imageName><lex>A,B</lex>"
    '<Resolution x="40" y="30"/><taggedRectangles>{boxes}</taggedRectangles></image>'
)


def _set(folder: Path, **tags: list[str]) -> Path:
    write_photos(folder, *(f"img/{name}.jpg" for name in tags))
    images = "".join(
        IMAGE.format(name=name, boxes="".join(BOX.format(tag=tag) for tag in found)) for name, found in tags.items()
    )
    return write(folder / "test.xml", f'<?xml version="1.0" encoding="utf-8"?><tagset>{images}</tagset>')


def test_queries_are_the_distinct_tags_in_lower_case(tmp_path: Path) -> None:
    _set(tmp_path, a=["LIVING", "OF"], b=["Living"])
    benchmark = load_benchmark(tmp_path)
    assert benchmark.query_list("all").relevant == {"living": {"img/a.jpg", "img/b.jpg"}, "of": {"img/a.jpg"}}
    assert benchmark.query_list("all").comparable_to is None
    assert list(benchmark.query_list("top100").relevant) == ["living"]


def test_boxes_become_polygons(tmp_path: Path) -> None:
    _set(tmp_path / "svt1", a=["LIVING"])
    [image] = load_benchmark(tmp_path).images
    assert image.items[0].polygon == ((5, 6), (35, 6), (35, 16), (5, 16))
    assert image.path == tmp_path / "svt1" / "img" / "a.jpg"


def test_a_gallery_of_the_papers_size_is_comparable(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(427)]
    tags = {f"i{place}": words[place::249] for place in range(249)}
    _set(tmp_path, **tags)
    assert load_benchmark(tmp_path).query_list("all").comparable_to == "SVT"


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    _set(tmp_path, a=["LIVING"])
    with pytest.raises(InputError, match=r"train\.xml"):
        load_benchmark(tmp_path, split="train")


def test_damaged_entries_are_named(tmp_path: Path) -> None:
    source = _set(tmp_path, a=["LIVING"])
    good = source.read_text()
    for damage, message in (
        (good.replace("imageName>", "name>"), "no <imageName>"),
        (good.replace('height="10"', 'height="ten"'), "lacks the number"),
        (good.replace('height="10"', ""), "lacks the number 'height'"),
        (good[:-5], "cannot be read as XML"),
    ):
        source.write_text(damage)
        with pytest.raises(InputError, match=message):
            load_benchmark(tmp_path)
