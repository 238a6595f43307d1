"""Which commands make a model of a preset: most presets have no weights here."""

from __future__ import annotations

from glyphseek.models.cayn.settings import PRESETS as CAYN_PRESETS
from glyphseek.models.cayn.settings import CaynSettings
from glyphseek.models.clip.settings import Architecture
from glyphseek.models.tdsl.settings import PRESETS as TDSL_PRESETS
from glyphseek.models.tdsl.settings import TdslSettings

PUBLISHED: dict[Architecture, str] = {
    "RN50": "openai",
    "RN50x4": "openai",
    "RN50x16": "openai",
    "ViT-B-16": "openai",
    "ViT-B-16-SigLIP-512": "webli",
}
"""open_clip's name of the weights that the preset of each architecture is meant for."""


def describe_way(preset: str) -> str | None:
    """Return the commands that lead from a preset to a model called FOLDER, as half a sentence; None for no preset."""
    if preset in CAYN_PRESETS:
        return _way_of_cayn(CAYN_PRESETS[preset])
    return _way_of_tdsl(TDSL_PRESETS[preset]) if preset in TDSL_PRESETS else None


def _way_of_cayn(settings: CaynSettings) -> str:
    name = settings.name
    if settings.clip is not None:
        weights = PUBLISHED[settings.clip.architecture]
        untrained = f"`glyphseek package FOLDER --preset {name} --weights {weights}` (zero-shot)"
        return f"{untrained}, or {_train_adapter(name, weights)}"
    if settings.dense is not None:
        reader = f"`glyphseek train tokens --preset {name} --real ANNOTATED --run READER`"
        return f"{reader}, then {_train_adapter(name, 'READER')}"
    return _train_adapter(name, "TDSL_FOLDER")


def _train_adapter(name: str, weights: str) -> str:
    chosen = f"--preset {name} --weights {weights}"
    return (
        f"`glyphseek train adapter {chosen} --real ANNOTATED --run RUN`, "
        f"then `glyphseek package FOLDER {chosen} --run RUN`"
    )


def _way_of_tdsl(settings: TdslSettings) -> str:
    trunk = " --backbone-weights resnet50.pth" if settings.backbone == "resnet50" else ""
    return (
        f"`glyphseek train joint --preset {settings.name}{trunk} --real ANNOTATED --run RUN`, "
        f"then `glyphseek package FOLDER --preset {settings.name} --run RUN`"
    )
