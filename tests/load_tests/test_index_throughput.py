"""A small run of the benchmark of indexing, and the share that decides it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from cli.command_line import write_model, write_photos
from index_throughput import Round, main, share_of_forward


def round_of(*, forward: float, index: float) -> Round:
    return Round(forward=forward, forward_cpu_s=0.1, index=index, index_cpu_s=0.1)


def test_the_share_is_that_of_all_rounds_together_and_not_the_best_of_them() -> None:
    rounds = [round_of(forward=10.0, index=10.0), round_of(forward=30.0, index=22.0)]

    assert share_of_forward(rounds) == 0.8
    assert share_of_forward(rounds[:1]) == 1.0


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_exit_code_is_that_of_the_share_that_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rounds: int
) -> None:
    words = [write_photos(tmp_path / "photos"), "--model", write_model(tmp_path / "model"), "--rounds", rounds]
    monkeypatch.setattr(sys, "argv", ["index_throughput.py", *map(str, words)])

    code = main()

    said = capsys.readouterr().out
    assert len(re.findall(r"^3 images: forward", said, flags=re.MULTILINE)) == rounds
    (share,) = re.findall(r"^index / forward = ([0-9.]+), threshold 0\.9;", said, flags=re.MULTILINE)
    assert float(share) == pytest.approx(0.9, abs=6e-4) or code == (0 if float(share) > 0.9 else 1)
