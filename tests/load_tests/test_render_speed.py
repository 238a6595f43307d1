"""A small run of the benchmark of the renderer."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from render_speed import clock, main


def test_the_benchmark_says_all_rates_and_whether_the_thresholds_are_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["render_speed.py", "--photos", "4", "--crops", "40"])

    code = main()

    said = capsys.readouterr().out
    least = tomllib.loads((Path(__file__).parents[2] / "load_tests/thresholds.toml").read_text())["render_speed"]
    rates = {line.split()[0]: float(line.split()[1]) for line in said.splitlines() if "processor time" in line}
    assert rates.keys() == {"rendered", "written", "crops"}
    assert "4 photos of 640 px" in said
    misses = {"written": rates["written"] < least["photos_per_s"], "crops": rates["crops"] < least["crops_per_s"]}
    assert code == (1 if any(misses.values()) else 0)
    assert f"written {'misses' if misses['written'] else 'is within'} 25.0 photos/s" in said
    assert f"crops {'misses' if misses['crops'] else 'is within'} 170.0 crops/s" in said


def test_the_rate_is_photos_over_processor_time() -> None:
    def work() -> None:
        sum(range(2_000_000))

    once, twice = clock(work, 1), clock(work, 1000)

    assert twice.processor > 10 * once.processor
