from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from cli.command_line import Ended, Indexed, glyphseek
from PIL import Image


def installed_fonts() -> Path:
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """Return a gallery of two photos of seed 7, and how the command ended."""
    folder = tmp_path_factory.mktemp("rendered")
    words = ("--count", "2", "--fonts", installed_fonts(), "--seed", "7", "--sheet", folder / "sheet.png", "--json")
    return folder / "gallery", glyphseek("render", folder / "gallery", *words)


def test_photos_truth_and_a_contact_sheet_are_written(rendered: tuple[Path, Ended]) -> None:
    folder, ended = rendered

    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert (said["photos"], said["folder"]) == (2, str(folder))
    assert len(list((folder / "images").iterdir())) == 2
    rows = [json.loads(line) for line in (folder / "boxes.jsonl").read_text().splitlines()]
    assert sum(len(row["items"]) for row in rows) == said["words"]
    with Image.open(folder.with_name("sheet.png")) as sheet:
        assert sheet.format == "PNG"


def test_the_same_seed_gives_the_same_bytes(rendered: tuple[Path, Ended], tmp_path: Path) -> None:
    one, two, other = rendered[0], tmp_path / "two", tmp_path / "other"

    glyphseek("render", two, "--count", "2", "--fonts", installed_fonts(), "--seed", "7")
    glyphseek("render", other, "--count", "1", "--fonts", installed_fonts(), "--seed", "8")

    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) >= 7
    assert all((one / path).read_bytes() == (two / path).read_bytes() for path in files)
    assert (one / "boxes.jsonl").read_text().splitlines()[0] != (other / "boxes.jsonl").read_text().splitlines()[0]


def test_a_rendered_gallery_is_measured_by_eval(rendered: tuple[Path, Ended], indexed: Indexed, tmp_path: Path) -> None:
    report, plot, table = tmp_path / "report.json", tmp_path / "plot.png", tmp_path / "table.md"

    ended = glyphseek(
        *("eval", rendered[0], "--model", indexed.model, "--report", report, "--plot", plot, "--table", table)
    )

    assert ended.code == 0, ended.err
    reports = json.loads(report.read_text())["reports"]
    assert {one["images"] for one in reports} == {2}
    assert all(one["queries"] > 0 for one in reports)
    assert table.read_text()
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG"


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
