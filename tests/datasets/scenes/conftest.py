"""Fonts and words that every installation has."""

import importlib.util
from pathlib import Path

import pytest

from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.words import WordSettings, WordSource


@pytest.fixture(scope="session")
def fonts() -> FontBook:
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return FontBook.discover([Path(spec.origin).parent])


@pytest.fixture(scope="session")
def words() -> WordSource:
    return WordSource.build(WordSettings(languages=(("en", 1.0),), vocabulary=3000))
