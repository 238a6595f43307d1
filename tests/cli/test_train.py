from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.command_line import glyphseek
from training.torchrun import PROGRAMS, torchrun

from glyphseek.models.loading import open_model


def test_a_stage_is_trained_and_packaged(tmp_path: Path) -> None:
    run, model = tmp_path / "words", tmp_path / "model"

    trained = glyphseek(
        *("train", "words", "--run", run, "--steps", "1", "--batch", "4"), *("--pool", "64", "--start-with", "64")
    )
    packaged = glyphseek("package", model, "--run", run, "--data", "64 rendered crops")

    assert trained.code == 0, trained.err
    assert "rendered_top1" in trained.out
    assert packaged.code == 0, packaged.err
    assert json.loads((run / "state.json").read_text())["samples"] == 4
    command = (run / "command.txt").read_text().strip()
    assert command.startswith("glyphseek train words --run ")
    assert command.endswith("--steps 1 --batch 4 --pool 64 --start-with 64")
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["commands"] == [command]
    assert manifest["data"] == ["64 rendered crops"]
    assert open_model(str(model)).card.name == "model"


@pytest.mark.timeout(900)  # two trainers and two renderers, each of which opens every font of the machine
def test_two_processes_train_one_stage(tmp_path: Path) -> None:
    run = tmp_path / "words"
    words = ["train", "words", "--run", run, "--batch", "4", "--pool", "64", "--start-with", "64", "--steps", "1"]

    ended = torchrun(PROGRAMS / "glyphseek", *words, timeout_s=800)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("rendered_top1") == 1, "the first process alone reports"
    assert json.loads((run / "state.json").read_text())["samples"] == 2 * 4
    command = (run / "command.txt").read_text()
    assert command.startswith("torchrun --standalone --nproc-per-node=2 --no-python -- glyphseek train words --run ")


def test_an_unknown_preset_lists_the_known_ones(tmp_path: Path) -> None:
    ended = glyphseek("train", "words", "--run", tmp_path / "run", "--preset", "tdsl-huge")

    assert ended.code == 1
    assert "ModelNotFound: no preset 'tdsl-huge'; known: tdsl-r50, tdsl-r50-ms, tdsl-small, tdsl-tiny" in ended.err
