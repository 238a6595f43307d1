from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from cli.command_line import write_model
from click import Group
from typer.main import get_command

from glyphseek.cli import app
from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.cayn.settings import PRESETS as CAYN_PRESETS
from glyphseek.models.checkpoint import MANIFEST
from glyphseek.models.clip.settings import ARCHITECTURES
from glyphseek.models.loading import SHIPPED, find_model, lasting_name, open_model, shipped_models
from glyphseek.models.presets import PUBLISHED
from glyphseek.models.tdsl.settings import PRESETS as TDSL_PRESETS
from glyphseek.queries import Term
from glyphseek.types import FeatureKind


def change_manifest(folder: Path, **changes: object) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**values, **changes}))


def test_a_packaged_folder_opens_as_a_model_with_its_card(tmp_path: Path) -> None:
    model = open_model(str(write_model(tmp_path / "model")))

    assert model.card.name == "tdsl-tiny"
    assert model.card.features == {FeatureKind.INSTANCES}
    assert model.card.longer_side == 256
    vectors = model.encode_terms([Term(text="coffee")])[0].vectors_VD
    assert vectors.shape == (1, model.card.vector_width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_same_weights_give_the_same_vectors_and_others_another_fingerprint(tmp_path: Path) -> None:
    one, again, other = (
        open_model(str(write_model(tmp_path / name, seed=seed))) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )

    assert one.card == again.card
    assert other.card.fingerprint != one.card.fingerprint
    asked = [Term(text="open")]
    first, second = (model.encode_terms(asked)[0].vectors_VD for model in (one, again))
    np.testing.assert_array_equal(first, second)


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(ModelNotFound, match="no model 'glyphseek/none'; shipped: ") as refused:
        find_model("glyphseek/none")

    assert all(name in str(refused.value) for name in shipped_models())


def unshipped_presets() -> list[str]:
    return [name for name in (*CAYN_PRESETS, *TDSL_PRESETS) if f"glyphseek/{name}" not in shipped_models()]


@pytest.mark.parametrize("name", [*unshipped_presets(), "glyphseek/cayn-rn50"])
def test_a_preset_without_weights_names_commands_that_the_command_line_takes(name: str) -> None:
    with pytest.raises(ModelNotFound, match="is a preset without weights here") as refused:
        find_model(name)

    told = str(refused.value)
    commands = [text.split() for text in re.findall("`glyphseek ([^`]*)`", told)]
    assert {words[0] for words in commands} == {"train", "package"}
    assert told.index("--model FOLDER") > told.rindex("`")
    known = cast(Group, get_command(app)).commands
    for command, *words in commands:
        context = known[command].make_context(command, list(words))  # refuses an option that there is not
        assert context.params["preset"] == name.removeprefix("glyphseek/")


def test_a_preset_of_a_published_clip_leads_to_a_model_without_training() -> None:
    with pytest.raises(ModelNotFound) as refused:
        find_model("cayn-siglip-b-512")

    assert "`glyphseek package FOLDER --preset cayn-siglip-b-512 --weights webli` (zero-shot)" in str(refused.value)


def test_presets_name_weights_that_open_clip_publishes() -> None:
    pretrained = pytest.importorskip("open_clip.pretrained", reason="needs the extra `clip`")

    assert PUBLISHED.keys() == ARCHITECTURES.keys()
    for architecture, weights in PUBLISHED.items():
        assert weights in pretrained.list_pretrained_tags_by_model(architecture)


def test_a_relative_path_lasts_as_an_absolute_one(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")

    assert lasting_name(os.path.relpath(folder)) == str(folder)


def test_shipped_models_last_under_their_id_and_open() -> None:
    if not shipped_models():
        pytest.skip("no weights are shipped in this tree")

    for name in shipped_models():
        assert lasting_name(name) == name
        assert open_model(name).card.name == name


def test_a_folder_called_like_a_shipped_model_is_never_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_model(tmp_path / "tdsl-small")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingError, match=r"write \./tdsl-small for the folder, glyphseek/tdsl-small for the shipped"):
        find_model("tdsl-small")

    assert find_model("./tdsl-small").samefile(own)
    assert find_model(str(own)) == own
    assert find_model("glyphseek/tdsl-small").parent == SHIPPED


def test_a_shipped_model_is_found_without_its_publisher_and_from_its_own_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lasting_name("tdsl-small") == "glyphseek/tdsl-small"

    monkeypatch.chdir(SHIPPED)

    assert lasting_name("tdsl-small") == "glyphseek/tdsl-small"


def test_a_copy_of_a_shipped_model_has_its_fingerprint_and_not_its_publisher(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "tdsl-small", tmp_path / "copy")

    one, copy = open_model("glyphseek/tdsl-small"), open_model(str(tmp_path / "copy"))

    assert copy.card.name == "tdsl-small"
    assert copy.card.fingerprint == one.card.fingerprint == "3fdf5bec42d8acaf7ad4684c0cacab8e"


def test_weights_of_other_shapes_than_the_preset_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    preset = json.loads((folder / MANIFEST).read_text())["preset"]
    change_manifest(folder, preset={**preset, "lstm_width": 24})

    with pytest.raises(CheckpointDamaged, match="lstm"):
        open_model(str(folder))


def test_a_method_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    change_manifest(folder, method="magic")

    with pytest.raises(CheckpointDamaged, match="unknown method 'magic'; known: cayn, tdsl"):
        open_model(str(folder))


def test_a_preset_of_wrong_types_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    preset = json.loads((folder / MANIFEST).read_text())["preset"]
    change_manifest(folder, preset={**preset, "roi_columns": None})

    with pytest.raises(CheckpointDamaged, match="preset cannot be built"):
        open_model(str(folder))
