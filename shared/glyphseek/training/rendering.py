"""The renderers as training and `glyphseek render` use them, built anew in each renderer process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glyphseek.datasets.scenes.backgrounds import Backgrounds
from glyphseek.datasets.scenes.crops import CropRenderer
from glyphseek.datasets.scenes.fonts import FontBook
from glyphseek.datasets.scenes.scenes import SceneRenderer
from glyphseek.datasets.scenes.settings import SceneSettings
from glyphseek.datasets.scenes.words import WordSource


def open_crop_renderer(backgrounds: Path | None) -> CropRenderer:
    """Return a renderer of word crops over all fonts of this machine; `backgrounds` is a folder of photos."""
    return CropRenderer(fonts=FontBook.discover(), words=WordSource.build(), backgrounds=open_backgrounds(backgrounds))


def open_scene_renderer(
    backgrounds: Path | None, *, fonts: Sequence[Path] | None = None, settings: SceneSettings | None = None
) -> SceneRenderer:
    """Return a renderer of whole scenes over all fonts of this machine, or of the given folders alone."""
    return SceneRenderer(
        fonts=FontBook.discover(fonts or None),
        words=WordSource.build(),
        backgrounds=open_backgrounds(backgrounds),
        settings=settings or SceneSettings(),
    )


def open_backgrounds(folder: Path | None) -> Backgrounds:
    """Return photos of the folder beside procedural pictures, or these alone without a folder."""
    return Backgrounds.load(folder) if folder else Backgrounds()
