"""A small run of the comparison with the OCR engine, and the ratio that decides it."""

from __future__ import annotations

import re
import sys
import time
import types
from pathlib import Path

import pytest
from cli.command_line import write_model, write_photos
from ocr_speed import Round, main, ratio_of

from glyphseek.types import RgbImage


class SlowEngine:
    """Stands in for the engine, which not every machine has: half a second for a photo, no lines."""

    def __init__(self, **settings: object) -> None:
        self.settings = settings

    def __call__(self, image: RgbImage) -> tuple[None, list[float]]:
        time.sleep(0.5)
        return None, [0.0]


def test_the_ratio_is_that_of_all_rounds_together() -> None:
    rounds = [Round(model=8.0, engine=2.0), Round(model=4.0, engine=2.0)]

    assert ratio_of(rounds) == 3.0
    assert ratio_of(rounds[:1]) == 4.0


def test_a_quick_model_passes_a_slow_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = types.ModuleType("rapidocr_onnxruntime")
    library.RapidOCR = SlowEngine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", library)
    words = [write_photos(tmp_path / "photos"), "--model", write_model(tmp_path / "model"), "--rounds", 1]
    monkeypatch.setattr(sys, "argv", ["ocr_speed.py", *map(str, words)])

    code = main()

    said = capsys.readouterr().out
    assert re.search(r"^3 photos: .*, engine (1\.9\d|2\.00)/s", said, flags=re.MULTILINE)
    (ratio,) = re.findall(r"= ([0-9.]+), threshold 3\.0;", said)
    assert float(ratio) == pytest.approx(3.0, abs=6e-3) or code == (0 if float(ratio) > 3.0 else 1)


def test_a_folder_without_photos_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ocr_speed.py", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "has no photo" in capsys.readouterr().err
