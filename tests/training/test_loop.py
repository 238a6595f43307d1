from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from training.toy import ToyStage, toy_network

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.training.loop import LoopSettings, rate_at, run_stage
from glyphseek.training.run import Progress, RunFolder

SETTINGS = LoopSettings(steps=8, rate=0.01, warmup=2, log_every=2, save_every=3, validate_every=4)


class Undrawn(RunFolder):
    """A folder that draws no curves: one test looks at them, and they take longer than all the rest of a run."""

    def plot(self) -> None:
        """Leave the curves as rows."""


def train(network: Tdsl, stage: ToyStage, folder: Path, *, draws: bool = False) -> Progress:
    return run_stage(
        network,
        stage,
        RunFolder(folder) if draws else Undrawn(folder),
        SETTINGS,
        batch=5,
        validate=lambda network: {"training": float(network.training)},
        report=lambda row: None,
    )


def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    settings = LoopSettings(steps=1100, rate=0.5, warmup=100)

    assert rate_at(0, settings) == pytest.approx(0.005)
    assert rate_at(49, settings) == pytest.approx(0.25)
    assert rate_at(99, settings) == rate_at(100, settings) == pytest.approx(0.5)
    assert rate_at(600, settings) == pytest.approx(0.25)
    assert rate_at(350, settings) == pytest.approx(0.25 * (1 + math.cos(math.pi / 4)))
    assert rate_at(1100, settings) == pytest.approx(0)
    assert rate_at(5000, settings) == pytest.approx(0)


def test_a_run_that_was_stopped_and_resumed_trains_the_same_parameters(tmp_path: Path) -> None:
    whole, stopped, resumed = toy_network(), toy_network(), toy_network(seed=7)
    train(whole, ToyStage(), tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        train(stopped, ToyStage(stop_at=5), tmp_path / "parts")
    rest = ToyStage()
    end = train(resumed, rest, tmp_path / "parts")

    assert rest.steps == [3, 4, 5, 6, 7]
    assert (end.step, end.samples) == (8, 40)
    expected, found = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_only_the_stages_parts_move(tmp_path: Path) -> None:
    network = toy_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    train(network, ToyStage(), tmp_path)

    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} == {"text_sequence"}


def test_curves_hold_means_rates_and_validations_at_their_steps(tmp_path: Path) -> None:
    train(toy_network(), ToyStage(), tmp_path, draws=True)

    rows = RunFolder(tmp_path).curves()

    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    assert [row["step"] for row in rows if "training" in row] == [4, 8]
    assert all(row["training"] == 0 for row in rows if "training" in row)
    assert all(0.5 < row["distance"] < 2 for row in rows)
    assert rows[0]["rate"] == rate_at(1, SETTINGS)
    assert (tmp_path / "curves.png").is_file()


def test_rows_after_the_last_checkpoint_are_not_repeated_when_a_run_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(toy_network(), ToyStage(stop_at=5), tmp_path)
    assert [row["step"] for row in RunFolder(tmp_path).curves()] == [2, 4]

    train(toy_network(), ToyStage(), tmp_path)

    assert [row["step"] for row in RunFolder(tmp_path).curves()] == [2, 4, 6, 8]


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    train(toy_network(), ToyStage(), tmp_path)
    again = ToyStage()

    assert train(toy_network(), again, tmp_path).step == 8
    assert again.steps == []


def test_a_step_whose_gradient_is_not_finite_is_skipped(tmp_path: Path) -> None:
    network = toy_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    train(network, ToyStage(scale=float("nan")), tmp_path)

    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
