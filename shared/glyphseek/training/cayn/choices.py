"""Settings other than the preset's, for trials: `name=value`, with a dot for those of the backbone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from glyphseek.errors import SettingError
from glyphseek.models.cayn.settings import CaynSettings, LossSettings, restore_settings

SETTINGS_FILE = "settings.json"
"""In a run's folder: the network's settings, by which the run is packaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one training is of: the network's settings and the objective."""

    network: CaynSettings
    losses: LossSettings


def change(preset: CaynSettings, changes: Sequence[str]) -> Choice:
    """Return the preset's settings and the usual objective with the changes made.

    A change names a field of CaynSettings or LossSettings (`vpa=off`, `sampling=uniform`, `itm_nlc=false`), or of the
    backbone (`clip.longer_side=768`). Raises SettingError for another name or a value that cannot be.
    """
    network, losses = preset, LossSettings()
    for text in changes:
        name, found, told = text.partition("=")
        value = read_value(told)
        part, _, inner = name.rpartition(".")
        if not found:
            raise SettingError(f"{text!r} changes nothing; write name=value")
        if part in ("clip", "regions", "dense") and getattr(network, part) is not None:
            network = change_field(network, part, change_field(getattr(network, part), inner, value))
        elif name in {field.name for field in fields(LossSettings)}:
            losses = change_field(losses, name, value)
        else:
            network = change_field(network, name, value)
    return Choice(network=network, losses=losses)


def change_field(settings: Any, name: str, value: object) -> Any:  # noqa: ANN401 - any settings dataclass
    """Return the settings with one field changed. Raises SettingError for a name that they do not have."""
    known = [field.name for field in fields(settings)]
    if name not in known:
        raise SettingError(f"there is no setting {name!r}; known: {', '.join(known)}")
    try:
        return replace(settings, **{name: value})
    except TypeError as error:
        raise SettingError(f"{name} cannot be {value!r}: {error}") from error


def read_value(text: str) -> object:
    """Return a JSON value, or the text itself where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def write_settings(run: Path, settings: CaynSettings) -> None:
    """Note the network's settings in the run's folder."""
    run.mkdir(parents=True, exist_ok=True)
    (run / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def read_settings(run: Path) -> CaynSettings | None:
    """Return the settings of a run's network; None where the run has noted none. Raises CheckpointDamaged."""
    path = run / SETTINGS_FILE
    return restore_settings(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
