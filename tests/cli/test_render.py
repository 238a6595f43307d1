from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from cli.command_line import glyphseek
from PIL import Image


def installed_fonts() -> Path:
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    common = ("--count", "2", "--fonts", str(installed_fonts()))

    ended = glyphseek("render", one, *common, "--seed", "7", "--sheet", tmp_path / "sheet.png", "--json")
    glyphseek("render", two, *common, "--seed", "7")
    glyphseek("render", other, *common, "--seed", "8")

    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert (said["photos"], said["folder"]) == (2, str(one))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len([path for path in files if path.parts[0] == "images"]) == 2
    assert all((one / path).read_bytes() == (two / path).read_bytes() for path in files)
    assert (one / "boxes.jsonl").read_bytes() != (other / "boxes.jsonl").read_bytes()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")

    ended = glyphseek("render", tmp_path, "--count", "1", "--fonts", installed_fonts())

    assert ended.code == 2
    assert "is not empty" in ended.err
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_missing_renderer_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("glyphseek.datasets.scenes", "glyphseek.training"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wordfreq", None)

    ended = glyphseek("render", tmp_path / "new")

    assert ended.code == 1
    assert ended.err.startswith("MissingExtra: wordfreq is not installed: pip install 'glyphseek[render]'")
