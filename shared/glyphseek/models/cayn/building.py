"""From settings to a network."""

from __future__ import annotations

from pathlib import Path

from glyphseek.errors import SettingError
from glyphseek.models.cayn.backbone import Backbone
from glyphseek.models.cayn.dense.backbone import DenseClip
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.regions.backbone import RegionClip
from glyphseek.models.cayn.settings import CaynSettings


def build_network(settings: CaynSettings, *, tokenizer: Path | None = None) -> Cayn:
    """Return the network with random weights; `tokenizer` is the file that SigLIP's text tower reads with.

    Raises MissingExtra for a CLIP backbone without open_clip.
    """
    return Cayn(settings, build_backbone(settings, tokenizer=tokenizer))


def build_backbone(settings: CaynSettings, *, tokenizer: Path | None = None) -> Backbone:
    """Return the backbone with random weights. Raises as `build_network` does."""
    if settings.regions is not None:
        return RegionClip(settings.regions)
    if settings.dense is not None:
        return DenseClip(settings.dense)
    if settings.clip is None:
        raise SettingError(f"preset {settings.name!r} has no backbone")
    from glyphseek.models.clip.building import build_clip

    return build_clip(settings.clip, tokenizer=tokenizer)


def load_network(settings: CaynSettings, weights: str) -> Cayn:
    """Return the network with a published backbone, and adapter and head as they are before training.

    `weights` are an open_clip tag, hf-hub:owner/name, a file, or an s3:// address. Raises ModelNotFound,
    CheckpointDamaged, MissingExtra, and SettingError for a preset whose backbone is not a published one.
    """
    if settings.clip is None:
        raise SettingError(f"preset {settings.name!r} has a backbone of this project: it has no published weights")
    from glyphseek.models.clip.building import load_clip

    return Cayn(settings, load_clip(settings.clip, weights))
