from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from training.torchrun import torchrun
from training.toy import ToyStage
from training.two_processes import SEEDS, End, LazyStage, MeanStage, torchrun_variables, train, train_in, two_processes

from glyphseek.errors import SettingError
from glyphseek.training.run import RunFolder
from glyphseek.training.together import ALONE, joined


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with two_processes() as pool:
        yield pool


@pytest.fixture(scope="module")
def together(pool: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, End, End]:
    folder = tmp_path_factory.mktemp("together")
    return folder, *train_in(pool, folder, ToyStage)


def test_two_processes_learn_what_one_learns_from_the_mean_of_their_losses(
    together: tuple[Path, End, End], tmp_path: Path
) -> None:
    one, _, _ = train(tmp_path, MeanStage(), SEEDS[0])
    _, first, second = together

    for name, value in one.state_dict().items():
        if name != "text_sequence.noted":
            np.testing.assert_allclose(first.weights[name], value.numpy(), atol=1e-5)
        if name != "pyramid.frozen":
            np.testing.assert_array_equal(first.weights[name], second.weights[name])


def test_what_trained_parts_count_is_the_mean_and_frozen_ones_stay(
    together: tuple[Path, End, End],
) -> None:
    for end, own in zip(together[1:], SEEDS, strict=True):
        np.testing.assert_array_equal(end.weights["text_sequence.noted"], [11.5, 11.5])
        np.testing.assert_array_equal(end.weights["pyramid.frozen"], [own, own])


def test_samples_of_both_count_and_the_first_alone_writes_and_reports(
    together: tuple[Path, End, End], tmp_path: Path
) -> None:
    train(tmp_path, MeanStage(), SEEDS[0])
    folder, first, second = together

    assert first.samples == second.samples == 6 * 5 * 2
    assert (first.reports, second.reports) == (4, 0)
    rows, expected = RunFolder(folder).curves(), RunFolder(tmp_path).curves()
    assert [row["step"] for row in rows] == [2, 3, 4, 6]
    for name in ("distance", "gradient_norm"):
        told = [row[name] for row in rows if name in row]
        assert told == pytest.approx([row[name] for row in expected if name in row], rel=1e-3)
        assert len(told) == 3
    assert {path.name for path in folder.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert RunFolder(folder).step() == 6


def test_a_process_whose_batch_has_no_use_for_a_parameter_takes_part_with_zeros(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    first, second = train_in(pool, tmp_path, LazyStage)

    for name, value in first.weights.items():
        if name != "pyramid.frozen":
            np.testing.assert_array_equal(second.weights[name], value)


def test_two_processes_go_on_from_where_one_stopped(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, ToyStage(stop_at=4), SEEDS[0])

    first, second = train_in(pool, tmp_path, ToyStage)

    assert first.samples == 3 * 5 + 3 * 5 * 2
    assert [row["step"] for row in RunFolder(tmp_path).curves()] == [2, 3, 4, 6]
    for name, value in first.weights.items():
        if name != "pyramid.frozen":
            np.testing.assert_array_equal(second.weights[name], value)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some schedulers say to every process

    with joined("cpu") as processes:
        assert processes == ALONE
        tensor = torch.tensor([1.0, 3.0])
        processes.average([tensor])

    assert tensor.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("device", "refusal"),
    [
        ("cuda:1", "device 'cuda:1' is one device for all processes; give 'cuda': one for each"),
        ("cuda", "no GPU for process 4: this machine has 2"),
    ],
)
def test_each_process_needs_a_gpu_of_its_own(device: str, refusal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in torchrun_variables(3, size=4).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    with pytest.raises(SettingError, match=refusal), joined(device):
        pass


def test_processes_of_another_machine_are_refused(tmp_path: Path) -> None:
    script = tmp_path / "join.py"
    script.write_text("from glyphseek.training.together import joined\nwith joined('cpu'):\n    print('joined')\n")
    one_of_two = {**os.environ, **torchrun_variables(1, size=2), "LOCAL_RANK": "0"}
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    first = {**os.environ, **torchrun_variables(0, size=2)}

    both = [
        subprocess.Popen(
            [sys.executable, script], env={**env, "MASTER_PORT": port}, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for env in (first, one_of_two)
    ]
    try:
        (said, _), (silent, refused) = (one.communicate(timeout=120) for one in both)
    finally:
        for one in both:
            one.kill()

    assert b"the processes of one run are on one machine" in refused
    assert (said, silent) == (b"joined\n", b"")


def test_when_one_process_fails_torchrun_ends_the_other_that_waits_for_it(tmp_path: Path) -> None:
    script = tmp_path / "fail.py"
    script.write_text(
        "import torch\n"
        "from glyphseek.training.together import joined\n"
        "with joined('cpu') as processes:\n"
        "    if not processes.leads:\n"
        "        raise OSError('the disk is full')\n"
        "    processes.average([torch.zeros(1)])\n"
        "    print('averaged')\n"
    )

    ended = torchrun(sys.executable, script, timeout_s=120)

    assert ended.returncode == 1
    assert "the disk is full" in ended.stderr
    assert ended.stdout == ""
