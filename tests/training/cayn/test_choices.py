from __future__ import annotations

from pathlib import Path

import pytest

from glyphseek.errors import SettingError
from glyphseek.models.cayn.settings import RN50, TINY_DENSE, LossSettings
from glyphseek.training.cayn.choices import change, read_settings, write_settings


def test_changes_reach_network_objective_and_backbone() -> None:
    found = change(
        RN50, ["vpa=off", "sampling=uniform", "itm_nlc=false", "clip.longer_side=768", "attention_scale=12.5"]
    )

    assert (found.network.vpa, found.network.attention_scale, found.network.longer_side) == ("off", 12.5, 768)
    assert found.losses == LossSettings(sampling="uniform", itm_nlc=False)
    assert found.network.name == RN50.name


def test_without_changes_the_preset_stays() -> None:
    assert change(TINY_DENSE, []).network == TINY_DENSE
    assert change(TINY_DENSE, []).losses == LossSettings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vpa", "write name=value"),
        ("vpn=off", "no setting 'vpn'; known: name, clip"),
        ("vpa=on", "known: tokens, local, off"),
        ("dense.depth=3", "no setting 'dense.depth'"),
        ("clip.longer_side=700", "multiple of 32"),
    ],
)
def test_a_change_that_cannot_be_is_refused(text: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        change(RN50, [text])


def test_a_run_remembers_its_settings(tmp_path: Path) -> None:
    changed = change(TINY_DENSE, ["directions=text"]).network
    write_settings(tmp_path / "run", changed)

    assert read_settings(tmp_path / "run") == changed
    assert read_settings(tmp_path) is None
