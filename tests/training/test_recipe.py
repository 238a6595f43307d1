from __future__ import annotations

import multiprocessing
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50
from training.scene_makers import make_noisy_scenes
from training.toy import toy_network

from glyphseek.errors import CheckpointDamaged, SettingError
from glyphseek.models.checkpoint import Manifest, save_checkpoint, save_manifest
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import PRESETS, find_preset
from glyphseek.training.recipe import Recipe, build_network, measure_recipe, run_recipe, take_trained_parts
from glyphseek.training.run import Progress, RunFolder
from glyphseek.training.together import Processes
from glyphseek.types import Calibration

GIVEN = Recipe(
    stage="joint",
    run=Path("runs/my run"),
    preset="tdsl-tiny",
    steps=7,
    batch=3,
    real=(Path("one"), Path("two")),
    backgrounds=Path("photos"),
)
TWO_STEPS = Recipe(
    stage="joint",
    run=Path("runs/joint"),
    preset="tdsl-tiny",
    steps=2,
    batch=1,
    pool=8,
    start_with=4,
    save_every=1,
    validate_every=2,
)


def test_a_recipe_tells_its_command_without_defaults() -> None:
    assert shlex.split(GIVEN.command()) == [
        *("glyphseek", "train", "joint", "--run", "runs/my run", "--preset", "tdsl-tiny", "--steps", "7"),
        *("--batch", "3", "--real", "one", "--real", "two", "--backgrounds", "photos"),
    ]


def test_a_switch_in_a_recipe_has_no_value_in_its_command() -> None:
    words = shlex.split(replace(GIVEN, compile=True, precision="bfloat16", start_from="tdsl-small").command())

    assert words[-3:] == ["--precision", "bfloat16", "--compile"]
    assert words[words.index("--start-from") + 1] == "tdsl-small"


def test_a_recipe_starts_from_the_weights_of_a_model(tmp_path: Path) -> None:
    source = toy_network(seed=5)
    digest = save_checkpoint(tmp_path / "model", source.state_dict())
    save_manifest(tmp_path / "model", toy_manifest(digest))

    network = build_network(replace(GIVEN, start_from=str(tmp_path / "model")), find_preset("tdsl-tiny"))

    started = dict(network.named_parameters())
    for name, value in source.named_parameters():
        assert torch.equal(started[name], value.half().float()), name


def test_weights_of_another_network_are_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    recipe = replace(GIVEN, run=tmp_path / "run", start_from="tdsl-small", real=(), backgrounds=None)

    with pytest.raises(CheckpointDamaged):
        run_recipe(recipe, report=lambda row: None)
    assert set(multiprocessing.active_children()) == before


def test_a_measured_recipe_writes_nothing(tmp_path: Path) -> None:
    recipe = replace(GIVEN, run=tmp_path / "run", real=(), backgrounds=None, batch=1, pool=8, start_with=4)

    speed = measure_recipe(recipe, steps=1, make=make_noisy_scenes)

    assert speed.images_per_s > 0
    assert speed.operations_per_step > 1e6
    assert not (tmp_path / "run").exists()


def test_a_stage_of_another_method_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="stage tokens is not measured"):
        measure_recipe(replace(GIVEN, stage="tokens"), steps=1)


def toy_manifest(digest: str) -> Manifest:
    return Manifest(
        name="toy",
        method="tdsl",
        preset={},
        weights_sha256=digest,
        parameters=0,
        licence="",
        calibration=Calibration(slope=1.0, offset=0.0, threshold=0.5),
        commands=[],
        data=[],
        stages=[],
    )


def keep_run(folder: Path, network: Tdsl, parts: str) -> RunFolder:
    """Write a run that trained the parts."""
    RunFolder(folder).save(network, torch.optim.AdamW(network.parameters()), Progress(step=1))
    (folder / "parts.txt").write_text(parts)
    return RunFolder(folder)


def test_a_deepened_reader_takes_what_a_run_has_of_it(tmp_path: Path) -> None:
    settings = find_preset("tdsl-tiny")
    shallow, deep = Tdsl(settings), Tdsl(replace(settings, sequence_blocks=1, reads_twice=True))
    run = keep_run(tmp_path, shallow, "image_sequence")

    take_trained_parts(deep, run)

    rois = torch.randn(2, settings.pyramid_width, settings.roi_rows, settings.roi_columns)
    with torch.inference_mode():
        found, wanted = deep.eval().image_sequence(rois)[0], shallow.eval().image_sequence(rois)[0]
    assert torch.equal(found, wanted)


def test_a_run_of_another_network_is_refused(tmp_path: Path) -> None:
    settings = find_preset("tdsl-tiny")
    deep = keep_run(tmp_path / "deep", Tdsl(replace(settings, reads_twice=True)), "image_sequence")
    wide = keep_run(tmp_path / "wide", Tdsl(replace(settings, lstm_width=24)), "image_sequence")

    with pytest.raises(CheckpointDamaged, match=r"another network: it has image_sequence\.again"):
        take_trained_parts(Tdsl(settings), deep)
    with pytest.raises(CheckpointDamaged, match="another network: size mismatch for image_sequence"):
        take_trained_parts(Tdsl(settings), wide)


def test_only_the_parts_that_a_run_trained_are_taken(tmp_path: Path) -> None:
    source, network = toy_network(seed=1), toy_network(seed=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    take_trained_parts(network, keep_run(tmp_path, source, "ctc text_sequence"))

    trained = source.state_dict()
    for name, value in network.state_dict().items():
        taken = name.split(".")[0] in {"ctc", "text_sequence"}
        assert torch.equal(value, trained[name] if taken else before[name]), name


def test_a_stage_runs_end_to_end_from_its_recipe(tmp_path: Path) -> None:
    recipe = replace(TWO_STEPS, run=tmp_path / "joint")
    rows: list[dict[str, float]] = []

    ended = run_recipe(recipe, report=rows.append)

    assert (ended.step, ended.samples) == (2, 2)
    assert [row.keys() for row in rows] == [{"step", "seconds", "detector_recall", "detector_precision", "detector_f"}]
    parts = (tmp_path / "joint" / "parts.txt").read_text().split()
    assert parts == ["pyramid", "detector", "image_sequence", "text_sequence", "ctc"]
    assert (tmp_path / "joint" / "command.txt").read_text() == recipe.command() + "\n"


def test_no_stage_is_shown_again_what_another_learned_on(tmp_path: Path) -> None:
    recipes = [replace(TWO_STEPS, run=tmp_path / name) for name in ("words", "words2")]
    fresh = [one.draw_seed() for one in recipes]
    assert not list(tmp_path.iterdir()), "asking writes nothing"

    network = toy_network()
    RunFolder(recipes[1].run).save(network, torch.optim.AdamW(network.parameters()), Progress(step=250))
    gone_on = recipes[1].draw_seed()

    assert len({*fresh, gone_on, replace(recipes[0], seed=1).draw_seed()}) == 4
    assert [recipes[0].draw_seed(), recipes[1].draw_seed()] == [fresh[0], gone_on]


def test_processes_that_train_together_draw_differently_and_one_command_starts_them(tmp_path: Path) -> None:
    alone = replace(TWO_STEPS, run=tmp_path / "words")
    first, second = (replace(alone, processes=Processes(rank=rank, size=2)) for rank in range(2))

    assert first.draw_seed() == alone.draw_seed()
    assert second.draw_seed() != first.draw_seed()
    started = "torchrun --standalone --nproc-per-node=2 --no-python -- " + alone.command()
    assert first.command() == second.command() == started


def test_a_stage_whose_cache_has_one_writer_is_not_trained_together(tmp_path: Path) -> None:
    recipe = replace(TWO_STEPS, stage="adapter", run=tmp_path / "adapter", processes=Processes(rank=1, size=2))

    with pytest.raises(SettingError, match="stage adapter trains in one process, not 2"):
        run_recipe(recipe, report=print)

    assert not list(tmp_path.iterdir())


def test_one_of_several_processes_is_not_timed(tmp_path: Path) -> None:
    recipe = replace(TWO_STEPS, run=tmp_path / "words", processes=Processes(rank=0, size=2))

    with pytest.raises(SettingError, match="--measure times one process"):
        measure_recipe(recipe, steps=1)


def test_the_stage_of_boxes_trains_the_refiner_of_its_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = replace(
        find_preset("tdsl-tiny"), name="looks-twice", roi_source="image", roi_columns=60, stem_channels=(4, 4)
    )
    monkeypatch.setitem(PRESETS, "looks-twice", replace(image, refiner_channels=(4, 4)))
    recipe = replace(TWO_STEPS, stage="boxes", run=tmp_path / "boxes", preset="looks-twice")
    rows: list[dict[str, float]] = []

    ended = run_recipe(recipe, report=rows.append)

    assert ended.step == 2
    assert (tmp_path / "boxes" / "parts.txt").read_text() == "refiner"
    assert set(RunFolder(tmp_path / "boxes").weights()) >= {"refiner.answers.weight", "refiner.answers.bias"}


def test_a_recipe_starts_a_trunk_from_weights_of_its_backbone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    tensors = resnet50(weights=None).state_dict()
    save_file(tensors, tmp_path / "r50.safetensors")
    recipe = replace(GIVEN, stage="detector", preset="tdsl-r50", backbone_weights=tmp_path / "r50.safetensors")

    network = build_network(recipe, find_preset("tdsl-r50"))

    assert f"--backbone-weights {tmp_path}/r50.safetensors" in recipe.command()
    assert torch.equal(network.pyramid.trunk.state_dict()["layer3.2.conv2.weight"], tensors["layer3.2.conv2.weight"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stage": "words"}, "not for stage words"),
        ({"stage": "adapter"}, "not for stage adapter"),
        ({"start_from": "tdsl-small"}, "--start-from has a trunk already"),
        ({}, "tdsl-tiny has a trunk of its own"),
    ],
)
def test_weights_of_a_backbone_that_would_not_be_used_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    recipe = replace(GIVEN, run=tmp_path / "run", real=(), backbone_weights=tmp_path / "r50.pth", **changes)

    with pytest.raises(SettingError, match=reason):
        run_recipe(recipe, report=lambda row: None)

    assert not (tmp_path / "run").exists()
