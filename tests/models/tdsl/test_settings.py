from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.tdsl.settings import PAPER, PRESETS, SMALL, find_preset, restore_settings


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_a_manifest(name: str) -> None:
    written = json.loads(json.dumps(asdict(find_preset(name))))

    assert restore_settings(written) == PRESETS[name]


def test_the_paper_stores_1920_numbers_a_word() -> None:
    assert PAPER.vector_width == 1920
    assert PAPER.sequence_columns == 15


def test_an_unknown_preset_is_refused_with_the_known_names() -> None:
    with pytest.raises(ModelNotFound, match="tdsl-small"):
        find_preset("tdsl-huge")


def test_steps_must_divide_the_columns() -> None:
    with pytest.raises(SettingError, match="13 steps do not divide the 32 columns"):
        replace(SMALL, steps=13)


def test_a_stem_on_a_pyramid_is_refused() -> None:
    with pytest.raises(SettingError, match="empty stem"):
        replace(SMALL, roi_source="pyramid")


def test_a_second_look_at_boxes_needs_the_image() -> None:
    with pytest.raises(SettingError, match="refiner_channels need roi_source 'image'"):
        replace(PAPER, refiner_channels=(8, 8))


@pytest.mark.parametrize("changes", [{"refiner_channels": ()}, {"roi_sampling": "align"}])
def test_outlines_need_a_second_look_and_the_halved_image(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="need refiner_channels, and roi_sampling 'halved'"):
        replace(SMALL, **changes)


def test_unknown_settings_in_a_manifest_are_refused() -> None:
    with pytest.raises(CheckpointDamaged, match="preset must have"):
        restore_settings({**asdict(PAPER), "extra": 1})


def test_a_manifest_older_than_a_setting_means_its_default() -> None:
    written = {name: value for name, value in asdict(SMALL).items() if name != "extra_longer_sides"}

    assert restore_settings(written) == replace(SMALL, extra_longer_sides=())


def test_a_manifest_without_a_size_of_the_network_is_refused() -> None:
    with pytest.raises(CheckpointDamaged, match="preset must have"):
        restore_settings({name: value for name, value in asdict(PAPER).items() if name != "steps"})
