from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.cayn.dense.settings import TINY
from glyphseek.models.cayn.settings import (
    PRESETS,
    RN50,
    TINY_DENSE,
    CaynSettings,
    LossSettings,
    find_preset,
    restore_settings,
)
from glyphseek.types import Fusion


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_settings_survive_the_manifest(preset: CaynSettings) -> None:
    changed = replace(preset, fusion=Fusion.MATCH, prompt="the word {}", attention_scale=2.5)

    assert restore_settings(json.loads(json.dumps(asdict(changed)))) == changed


def test_presets_are_found_by_name() -> None:
    assert find_preset("cayn-rn50") is RN50
    with pytest.raises(ModelNotFound, match="no preset 'cayn'; known: cayn-rn50, cayn-rn50x4"):
        find_preset("cayn")


def test_the_input_size_is_the_backbones() -> None:
    assert RN50.longer_side == 640
    assert TINY_DENSE.longer_side == TINY.longer_side


def test_presets_of_a_published_clip_are_asked_for_all_that_its_text_tower_reads() -> None:
    limits = {name: preset.max_query_characters for name, preset in PRESETS.items() if preset.clip is not None}

    assert limits.pop("cayn-siglip-b-512") == 62
    assert set(limits.values()) == {75}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dense": TINY}, "one backbone"),
        ({"clip": None}, "one backbone"),
        ({"prompt": "a word"}, "needs one {}"),
        ({"attention_scale": 0.0}, "above 0"),
        ({"vpa_reduction": 0}, "1 or more"),
        ({"vpa": "output"}, "vpa is 'output'; known: tokens, local, off"),
        ({"text_query": "eot"}, "known: global, tokens"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        replace(RN50, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "told"), [({"sampling": "easy"}, "known: hem, uniform"), ({"itm_weight": -1}, "0")]
)
def test_what_is_no_objective_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        replace(LossSettings(), **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"name": "x"},
        {"surprise": 1},
        {"clip": 3},
        {"clip": {"architecture": "RN51"}},
        {"dense": {"channels": [1, 2]}},
        {"fusion": "product"},
    ],
    ids=str,
)
def test_a_manifest_that_states_other_settings_is_damaged(broken: dict[str, object]) -> None:
    sound = json.loads(json.dumps(asdict(RN50)))
    values = sound | broken if broken and "name" not in broken else broken

    with pytest.raises(CheckpointDamaged, match="preset"):
        restore_settings(values)
