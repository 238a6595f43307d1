"""What `make demo` runs, on a folder of someone's own photos, named as a shell leaves it in a quoted word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.command_line import glyphseek
from cli.test_render import installed_fonts
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)  # three processes that load torch and a model
def test_the_demo_takes_photos_of_the_home_folder_and_draws_their_hits(tmp_path: Path) -> None:
    home, run = tmp_path / "home", tmp_path / "demo"
    rendered = glyphseek("render", home / "shop", "--count", "3", "--fonts", installed_fonts(), "--seed", "5")
    assert rendered.code == 0, rendered.err

    ended = subprocess.run(
        [sys.executable, ROOT / "scripts/demo.py", run],
        env={**os.environ, "HOME": str(home), "PHOTOS": "~/shop/images", "QUERIES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert f"$ glyphseek index {home}/shop/images --gallery {run}/gallery" in said
    assert "3 photos found, 3 added" in ended.stdout
    searched = next(line for line in said if line.startswith("$ glyphseek search "))
    words = searched.removeprefix("$ glyphseek search ").split(" --gallery")[0].split()
    assert len(words) == 3  # the three that stand in most of the rendered photos
    assert all(len(word) > 3 for word in words)
    assert not (run / "photos").exists()
    with Image.open(run / "hits.png") as picture:
        assert picture.format == "PNG"
