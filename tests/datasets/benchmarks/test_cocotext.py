import json
from pathlib import Path

import pytest
from datasets.benchmarks.photos import write, write_photos

from glyphseek.datasets.benchmarks import load_benchmark
from glyphseek.errors import InputError


def _retrieval(root: Path) -> Path:
    write_photos(root / "images", "COCO_1.jpg", "COCO_2.jpg", "COCO_3.jpg")
    write(root / "gts" / "COCO_1.txt", "STOP!\nAve.\n")
    write(root / "gts" / "COCO_2.txt", "stop\n")
    write(root / "gts" / "COCO_3.txt", "")
    write(root / "queries.txt", "stop\nnowhere\n")
    return root


def test_the_retrieval_set_asks_its_own_queries(tmp_path: Path) -> None:
    benchmark = load_benchmark(_retrieval(tmp_path))
    assert len(benchmark.images) == 3
    assert benchmark.query_list("all").relevant == {"stop": {"COCO_1.jpg", "COCO_2.jpg"}}
    assert list(benchmark.query_list("top100").relevant) == ["stop", "ave"]


def test_an_image_without_words_file_is_named(tmp_path: Path) -> None:
    (_retrieval(tmp_path) / "gts" / "COCO_2.txt").unlink()
    with pytest.raises(InputError, match=r"COCO_2\.txt"):
        load_benchmark(tmp_path)


def _annotated(root: Path) -> Path:
    names = {"1": ("a.jpg", "val"), "2": ("b.jpg", "train"), "3": ("c.jpg", "val")}
    mask = [1, 2, 9, 2, 9, 6, 1, 6]
    anns = [(1, "Stop", "legible"), (1, "", "legible"), (1, "blur", "illegible"), (2, "yield", "legible")]
    document = {
        "cats": {},
        "imgs": {number: {"id": int(number), "file_name": name, "set": part} for number, (name, part) in names.items()},
        "anns": {
            str(place): {"image_id": image, "mask": mask, "utf8_string": text, "legibility": legibility}
            for place, (image, text, legibility) in enumerate(anns)
        },
    }
    write_photos(root / "train2014", "a.jpg", "b.jpg", "c.jpg")
    write(root / "cocotext.v2.json", json.dumps(document))
    return root


def test_published_annotations_give_the_images_with_legible_text(tmp_path: Path) -> None:
    [image] = load_benchmark(_annotated(tmp_path)).images
    assert image.name == "a.jpg"
    assert [item.text for item in image.items] == ["Stop"]
    assert image.items[0].polygon == ((1, 2), (9, 2), (9, 6), (1, 6))
    assert load_benchmark(tmp_path, split="train").query_list("all").relevant == {"yield": {"b.jpg"}}


def test_annotations_without_images_name_the_folders_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "cocotext.v2.json", "{}")
    with pytest.raises(InputError, match="train2014, images, images/train2014"):
        load_benchmark(tmp_path)


def test_annotations_of_something_else_are_named(tmp_path: Path) -> None:
    write(_annotated(tmp_path) / "cocotext.v2.json", '{"imgs": {}}')
    with pytest.raises(InputError, match=r"cocotext\.v2\.json lacks 'anns'"):
        load_benchmark(tmp_path)
