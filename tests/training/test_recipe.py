from __future__ import annotations

import shlex
from pathlib import Path

import torch
from training.toy import toy_network

from glyphseek.training.recipe import Recipe, run_recipe, take_trained_parts
from glyphseek.training.run import Progress, RunFolder

GIVEN = Recipe(
    stage="joint",
    run=Path("runs/my run"),
    preset="tdsl-tiny",
    steps=7,
    batch=3,
    real=(Path("one"), Path("two")),
    backgrounds=Path("photos"),
)


def test_a_recipe_tells_its_command_without_defaults() -> None:
    assert shlex.split(GIVEN.command()) == [
        *("glyphseek", "train", "joint", "--run", "runs/my run", "--preset", "tdsl-tiny", "--steps", "7"),
        *("--batch", "3", "--real", "one", "--real", "two", "--backgrounds", "photos"),
    ]


def test_only_the_parts_that_a_run_trained_are_taken(tmp_path: Path) -> None:
    source, network = toy_network(seed=1), toy_network(seed=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    RunFolder(tmp_path).save(source, torch.optim.AdamW(source.parameters()), Progress(step=1))
    (tmp_path / "parts.txt").write_text("ctc text_sequence")

    take_trained_parts(network, RunFolder(tmp_path))

    trained = source.state_dict()
    for name, value in network.state_dict().items():
        taken = name.split(".")[0] in {"ctc", "text_sequence"}
        assert torch.equal(value, trained[name] if taken else before[name]), name


def test_a_stage_runs_end_to_end_from_its_recipe(tmp_path: Path) -> None:
    recipe = Recipe(
        stage="joint",
        run=tmp_path / "joint",
        preset="tdsl-tiny",
        steps=2,
        batch=1,
        pool=8,
        start_with=4,
        save_every=1,
        validate_every=2,
    )
    rows: list[dict[str, float]] = []

    ended = run_recipe(recipe, report=rows.append)

    assert (ended.step, ended.samples) == (2, 2)
    assert [row.keys() for row in rows] == [{"step", "seconds", "detector_recall", "detector_precision", "detector_f"}]
    parts = (tmp_path / "joint" / "parts.txt").read_text().split()
    assert parts == ["pyramid", "detector", "image_sequence", "text_sequence", "ctc"]
    assert (tmp_path / "joint" / "command.txt").read_text() == recipe.command() + "\n"
