"""One tiny model and one indexed gallery for all commands; a test that changes them works on a copy."""

from __future__ import annotations

import pytest
from cli.command_line import Indexed, glyphseek, write_model, write_photos


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("indexed")
    photos, model, gallery = write_photos(root / "photos"), write_model(root / "model"), root / "gallery"
    ended = glyphseek("index", photos, "--gallery", gallery, "--model", model)
    return Indexed(gallery=gallery, photos=photos, model=model, ended=ended)
