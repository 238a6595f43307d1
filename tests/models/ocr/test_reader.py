import sys
import types
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from glyphseek.errors import MissingExtra
from glyphseek.models.ocr.reader import OcrReader, shrink
from glyphseek.types import RgbImage


class _Engine:
    """Stands in for the engine: remembers its settings and image, and finds what it was given."""

    found: ClassVar[list[list[object]] | None] = None
    settings: ClassVar[dict[str, object]] = {}
    image: ClassVar[RgbImage]

    def __init__(self, **settings: object) -> None:
        type(self).settings = settings

    def __call__(self, image: RgbImage) -> tuple[list[list[object]] | None, list[float]]:
        type(self).image = image
        return self.found, [0.0]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[_Engine]:
    class Engine(_Engine):
        pass

    library = types.ModuleType("rapidocr_onnxruntime")
    library.RapidOCR = Engine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", library)
    return Engine


def test_lines_keep_their_order_and_confidence(engine: type[_Engine]) -> None:
    engine.found = [[[[0, 0]], "Car park", 0.9], [[[0, 9]], "24", 0.1]]
    lines = OcrReader().read(np.zeros((8, 8, 3), np.uint8))
    assert [(line.text, line.confidence) for line in lines] == [("Car park", 0.9), ("24", 0.1)]


def test_an_image_without_text_has_no_lines(engine: type[_Engine]) -> None:
    assert OcrReader().read(np.zeros((8, 8, 3), np.uint8)) == []


def test_the_engine_gets_blue_first_at_the_longer_side(engine: type[_Engine]) -> None:
    red = np.zeros((100, 400, 3), np.uint8)
    red[:, :, 0] = 255
    OcrReader(longer_side=200).read(red)
    assert engine.image.shape == (50, 200, 3)
    assert engine.image[0, 0].tolist() == [0, 0, 255]


def test_threads_bound_the_engine_and_no_line_is_dropped(engine: type[_Engine]) -> None:
    OcrReader(threads=1)
    assert engine.settings == {"text_score": 0.0, "intra_op_num_threads": 1, "inter_op_num_threads": 1}


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'glyphseek\[ocr\]'"):
        OcrReader()


def test_a_small_image_is_not_enlarged() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    assert shrink(image, 20) is image


def test_the_real_engine_reads_printed_words() -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="the extra 'ocr' is not installed")
    image = np.full((160, 640, 3), 255, np.uint8)
    cv2.putText(image, "COFFEE 24", (40, 100), cv2.FONT_HERSHEY_SIMPLEX, 3, (0, 0, 0), 6)
    text = " ".join(line.text for line in OcrReader(threads=1).read(image))
    assert text.replace(" ", "") == "COFFEE24"


def test_importing_the_package_does_not_start_the_engine() -> None:
    import subprocess

    code = "import sys, glyphseek.models.ocr; sys.exit('rapidocr_onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path.cwd()).returncode == 0
