import json
from pathlib import Path

import numpy as np
import pytest

from glyphseek.errors import ImageUnreadable, InputError, StoreError
from glyphseek.models.ocr import OcrLine, ReadingCache, Readings, read_all
from glyphseek.types import RgbImage


class _Reader:
    """Reads the number that is stored in every pixel, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def read(self, image: RgbImage) -> list[OcrLine]:
        self.calls += 1
        return [OcrLine(text=f"word {image[0, 0, 0]}", confidence=0.5)]


def _load(path: Path) -> RgbImage:
    content = path.read_text()
    if content == "broken":
        raise ImageUnreadable(f"{path.name} is broken")
    return np.full((2, 2, 3), len(content), np.uint8)


def _images(folder: Path, *contents: str) -> dict[str, Path]:
    images = {f"{number}.jpg": folder / f"{number}.jpg" for number in range(len(contents))}
    for path, content in zip(images.values(), contents, strict=True):
        path.write_text(content)
    return images


def _read(images: dict[str, Path], cache: Path, reader: _Reader, *, longer_side: int = 1024) -> Readings:
    return read_all(images, _load, lambda: reader, ReadingCache(cache, longer_side=longer_side))


def _refuse() -> _Reader:
    raise AssertionError("the reader was started")


def test_a_second_run_reads_nothing_and_starts_no_engine(tmp_path: Path) -> None:
    images = _images(tmp_path, "a", "bb")
    first = _read(images, tmp_path / "cache.json", _Reader())
    second = read_all(images, _load, _refuse, ReadingCache(tmp_path / "cache.json", longer_side=1024))
    assert (first.read_now, second.read_now, second.seconds) == (2, 0, 0.0)
    assert second.lines == first.lines
    assert second.lines["1.jpg"] == [OcrLine(text="word 2", confidence=0.5)]


def test_only_new_and_changed_images_are_read(tmp_path: Path) -> None:
    images = _images(tmp_path, "a", "bb")
    _read(images, tmp_path / "cache.json", _Reader())
    images = _images(tmp_path, "a", "bbbb", "c")
    reader = _Reader()
    readings = _read(images, tmp_path / "cache.json", reader)
    assert reader.calls == 2
    assert readings.lines["1.jpg"][0].text == "word 4"


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    images = _images(tmp_path, *["x"] * 50)

    def stop(done: int, total: int) -> None:
        assert total == 50
        if done == 45:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_all(images, _load, _Reader, ReadingCache(tmp_path / "cache.json", longer_side=1024), on_image=stop)
    reader = _Reader()
    assert len(_read(images, tmp_path / "cache.json", reader).lines) == 50
    assert reader.calls == 10


def test_another_size_reads_everything_again(tmp_path: Path) -> None:
    images = _images(tmp_path, "a", "bb")
    _read(images, tmp_path / "cache.json", _Reader())
    reader = _Reader()
    _read(images, tmp_path / "cache.json", reader, longer_side=640)
    assert reader.calls == 2


def test_a_broken_image_is_recorded_and_tried_again(tmp_path: Path) -> None:
    images = _images(tmp_path, "broken", "bb")
    readings = _read(images, tmp_path / "cache.json", _Reader())
    assert readings.failed == {"0.jpg": "0.jpg is broken"}
    assert readings.lines["0.jpg"] == []
    assert readings.read_now == 1
    images["0.jpg"].write_text("mended")
    assert _read(images, tmp_path / "cache.json", _Reader()).lines["0.jpg"][0].text == "word 6"


@pytest.mark.parametrize("content", ["not json", "[]", json.dumps({"engine": 1})])
def test_a_file_that_is_no_cache_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "cache.json").write_text(content)
    with pytest.raises(InputError, match="is not a cache of readings"):
        ReadingCache(tmp_path / "cache.json", longer_side=1024)


def test_a_cache_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be saved"):
        ReadingCache(tmp_path / "file" / "cache.json", longer_side=1024).save()
