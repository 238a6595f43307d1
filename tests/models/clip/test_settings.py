from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from glyphseek.errors import SettingError
from glyphseek.models.clip.settings import ARCHITECTURES, CLIP_SETTINGS, ClipSettings


def test_every_architecture_has_recommended_settings() -> None:
    assert set(CLIP_SETTINGS) == set(ARCHITECTURES)
    assert all(settings.architecture == name for name, settings in CLIP_SETTINGS.items())


def test_only_the_vit_is_split_by_default() -> None:
    assert [name for name, settings in CLIP_SETTINGS.items() if settings.tiles == 2] == ["ViT-B-16"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"architecture": "RN51"}, "known: RN50"),
        ({"architecture": "RN50", "longer_side": 650}, "multiple of 32"),
        ({"architecture": "RN50", "longer_side": 0}, "multiple of 32"),
        ({"architecture": "ViT-B-16", "tiles": 0}, "1 to 4"),
        ({"architecture": "RN50", "local_path": "block"}, "RN50 knows value"),
        ({"architecture": "ViT-B-16-SigLIP-512", "local_path": "residual"}, "knows value, block"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        ClipSettings(**values)


def test_the_door_to_clip_is_cheap_to_import() -> None:
    code = "import sys, glyphseek.models.clip.building; print({'torch', 'open_clip'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
