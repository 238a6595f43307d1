"""Renderers over fonts and words that every installation has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.words import WordSettings, WordSource


@pytest.fixture(scope="session")
def crop_renderer() -> CropRenderer:
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return CropRenderer(
        fonts=FontBook.discover([Path(spec.origin).parent]),
        words=WordSource.build(WordSettings(languages=(("en", 1.0),), vocabulary=3000)),
    )
