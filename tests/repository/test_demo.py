"""What `make demo` runs, on folders of someone's own photos, named as a shell leaves them in a quoted word."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.command_line import glyphseek
from cli.test_render import installed_fonts
from PIL import Image

ROOT = Path(__file__).parents[2]


def run_demo(run: Path, *, home: Path, photos: str, queries: str = "") -> str:
    """Return what the demo printed; it must have ended well."""
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts/demo.py", run],
        env={**os.environ, "HOME": str(home), "PHOTOS": photos, "QUERIES": queries, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def gallery_of(said: str) -> Path:
    """Return the gallery that the demo says it made."""
    (named,) = re.findall(r"^The gallery is (.*)$", said, flags=re.MULTILINE)
    return Path(named)


@pytest.mark.timeout(900)  # six processes that load torch and a model
def test_each_folder_of_photos_has_a_gallery_of_its_own_which_it_comes_back_to(tmp_path: Path) -> None:
    home, run = tmp_path / "home", tmp_path / "demo"
    rendered = glyphseek("render", home / "shop", "--count", "3", "--fonts", installed_fonts(), "--seed", "5")
    assert rendered.code == 0, rendered.err
    (home / "trip/images").mkdir(parents=True)  # the same last name as the other folder
    shutil.copy(next((home / "shop/images").iterdir()), home / "trip/images")

    shop = run_demo(run, home=home, photos="~/shop/images")
    trip = run_demo(run, home=home, photos="~/trip/images", queries="open")
    again = run_demo(run, home=home, photos="~/shop/images", queries="open")

    gallery = gallery_of(shop)
    assert gallery_of(trip) != gallery == gallery_of(again)
    assert {gallery.parent.parent, gallery_of(trip).parent.parent} == {run}  # beside that of rendered photos
    assert not (run / "photos").exists()
    assert gallery.parent.name.startswith("images-")
    assert "3 photos found, 3 added" in shop
    assert "1 photos found, 1 added" in trip
    assert "3 photos found, 0 added" in again

    assert f"$ glyphseek index {home}/shop/images --gallery {gallery}" in shop.splitlines()
    searched = next(line for line in shop.splitlines() if line.startswith("$ glyphseek search "))
    words = searched.removeprefix("$ glyphseek search ").split(" --gallery")[0].split()
    assert len(words) == 3  # the three that stand in most of the rendered photos
    assert all(len(word) > 3 for word in words)
    assert f"Look at {gallery.with_name('hits.png')}" in shop
    with Image.open(gallery.with_name("hits.png")) as picture:
        assert picture.format == "PNG"


@pytest.mark.timeout(900)  # four processes that load torch and a model
def test_a_gallery_that_another_model_wrote_stays_and_another_one_is_made(tmp_path: Path) -> None:
    photos, run = tmp_path / "photos", tmp_path / "demo"
    photos.mkdir()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(photos / "red.png")
    older = gallery_of(run_demo(run, home=tmp_path, photos=str(photos), queries="open"))
    described = older / "gallery.json"
    fingerprint = json.loads(described.read_text())["card"]["fingerprint"]
    described.write_text(described.read_text().replace(fingerprint, "f" * len(fingerprint)))
    before = described.read_bytes()

    said = run_demo(run, home=tmp_path, photos=str(photos), queries="open")
    again = run_demo(run, home=tmp_path, photos=str(photos), queries="open")

    assert gallery_of(said) == gallery_of(again) == older.with_name(f"gallery-{fingerprint[:8]}")
    assert f"{older} was written by another model and stays as it is" in said
    assert "1 photos found, 1 added" in said
    assert "1 photos found, 0 added" in again
    assert described.read_bytes() == before
