from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from glyphseek.errors import CheckpointDamaged
from glyphseek.training.run import Progress, RunFolder, write_atomically


def make(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    return network, torch.optim.AdamW(network.parameters(), lr=0.01)


def take_step(network: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    optimizer.zero_grad()
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
    network(inputs).square().mean().backward()
    optimizer.step()


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def are_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_fresh_folder_starts_at_step_0_and_changes_nothing(tmp_path: Path) -> None:
    network, optimizer = make()
    before = weights_of(network)

    assert RunFolder(tmp_path / "run").resume(network, optimizer) == Progress()
    assert are_equal(weights_of(network), before)


def test_resuming_gives_the_saved_weights_and_optimiser_state(tmp_path: Path) -> None:
    network, optimizer = make()
    for step in range(3):
        take_step(network, optimizer, step)
    saved = Progress(step=3, samples=24, seconds=1.5)
    RunFolder(tmp_path).save(network, optimizer, saved)

    other, its_optimizer = make(seed=9)
    found = RunFolder(tmp_path).resume(other, its_optimizer)

    assert found == saved
    assert are_equal(weights_of(other), weights_of(network))
    states, others = optimizer.state_dict()["state"], its_optimizer.state_dict()["state"]
    assert states.keys() == others.keys()
    assert all(are_equal(states[index], others[index]) for index in states)


def test_the_step_after_resuming_is_the_step_that_would_have_come(tmp_path: Path) -> None:
    network, optimizer = make()
    take_step(network, optimizer, 0)
    RunFolder(tmp_path).save(network, optimizer, Progress(step=1))
    other, its_optimizer = make(seed=9)
    RunFolder(tmp_path).resume(other, its_optimizer)

    take_step(network, optimizer, 1)
    take_step(other, its_optimizer, 1)

    assert are_equal(weights_of(other), weights_of(network))


def test_a_crash_between_the_two_files_leaves_the_earlier_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    network, optimizer = make()
    take_step(network, optimizer, 0)
    folder.save(network, optimizer, Progress(step=1))
    first = weights_of(network)
    shutil.copytree(folder.path, tmp_path / "crashed")
    take_step(network, optimizer, 1)
    folder.save(network, optimizer, Progress(step=2))
    # The new tensors are on disk, state.json still names the old ones, a draft was left behind.
    shutil.copy(folder.path / "state-2.safetensors", tmp_path / "crashed")
    (tmp_path / "crashed" / "state.json.part").write_text('{"tens')

    other, its_optimizer = make(seed=9)
    found = RunFolder(tmp_path / "crashed").resume(other, its_optimizer)

    assert found.step == 1
    assert are_equal(weights_of(other), first)


def test_a_crash_before_the_old_tensors_are_removed_leaves_the_new_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    network, optimizer = make()
    folder.save(network, optimizer, Progress(step=1))
    old = (tmp_path / "state-1.safetensors").read_bytes()
    take_step(network, optimizer, 1)
    folder.save(network, optimizer, Progress(step=2))
    (tmp_path / "state-1.safetensors").write_bytes(old)

    other, its_optimizer = make(seed=9)

    assert folder.resume(other, its_optimizer).step == 2
    folder.save(other, its_optimizer, Progress(step=3))
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["state-3.safetensors"]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network, optimizer = make()
    RunFolder(tmp_path).save(network, optimizer, Progress(step=1))
    other = nn.Linear(4, 3)

    with pytest.raises(CheckpointDamaged, match="weight"):
        RunFolder(tmp_path).resume(other, torch.optim.AdamW(other.parameters()))


def test_weights_of_a_run_without_state_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointDamaged, match="no readable training state"):
        RunFolder(tmp_path).weights()


def test_weights_are_those_of_the_network_alone(tmp_path: Path) -> None:
    network, optimizer = make()
    take_step(network, optimizer, 0)
    RunFolder(tmp_path).save(network, optimizer, Progress(step=1))

    assert are_equal(RunFolder(tmp_path).weights(), weights_of(network))


def test_curves_after_the_resumed_step_are_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (50, 100, 150):
        folder.log({"step": step, "ctc": 1 / step})

    assert [row["step"] for row in folder.curves(until=100)] == [50, 100]
    assert [row["step"] for row in folder.curves()] == [50, 100]


def test_half_a_line_left_by_a_kill_is_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.log({"step": 50, "ctc": 1.0})
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write('{"step": 100, "ct')

    assert folder.curves(until=100) == [{"step": 50, "ctc": 1.0}]
    folder.log({"step": 100, "ctc": 0.5})
    assert [row["step"] for row in folder.curves()] == [50, 100]


def test_curves_are_plotted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.plot()
    assert not (tmp_path / "curves.png").exists()

    folder.log({"step": 50, "seconds": 1, "ctc": 1.0})
    folder.log({"step": 100, "seconds": 2, "ctc": 0.5, "real_top1": 0.25})
    folder.plot()

    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > drawn.height


def test_text_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("before")

    write_atomically(path, "after")

    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]
