from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from glyphseek.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


def test_alerts_ask_for_metrics_that_exist() -> None:
    asked = set(re.findall(r"glyphseek_\w+", (FOLDER / "alerts.yml").read_text()))
    known: set[str] = set()
    for family in text_string_to_metric_families(Metrics().expose().decode()):
        known |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    assert asked
    assert asked <= known


def test_prometheus_takes_the_files_and_the_alerts_fire_as_they_should() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (apt install prometheus)")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
