import importlib.util
import io
import tarfile
from pathlib import Path

import pytest
from repository.loaded_scripts import load_script

from glyphseek.datasets.scenes.fonts import FontBook

fetch_fonts = load_script("fetch_fonts")


def pack(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(f"package/files/{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return path


def test_upright_latin_faces_of_three_weights_are_kept_and_the_lightest_of_a_family_without(tmp_path: Path) -> None:
    package = pack(
        tmp_path / "a.tgz",
        "lobster-latin-400-normal.woff", "lobster-latin-400-normal.woff2", "lobster-latin-400-italic.woff",
        "lobster-latin-700-normal.woff", "lobster-latin-500-normal.woff", "lobster-cyrillic-400-normal.woff",
        "lobster-latin-ext-400-normal.woff",
    )  # fmt: skip
    (tmp_path / "faces").mkdir()
    kept = fetch_fonts.unpack_faces(package, tmp_path / "faces")
    assert kept == ["lobster-latin-400-normal.woff", "lobster-latin-700-normal.woff"]
    assert {path.name: path.read_text() for path in (tmp_path / "faces").iterdir()} == {name: name for name in kept}

    light = pack(tmp_path / "b.tgz", "buda-latin-300-normal.woff", "buda-latin-500-normal.woff")
    assert fetch_fonts.unpack_faces(light, tmp_path / "faces") == ["buda-latin-300-normal.woff"]


def test_families_that_are_there_are_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def fetch(npm: str, packages: list[str], folder: Path) -> None:
        assert (npm, folder) == ("/bin/npm", tmp_path)
        fetched.extend(packages)

    monkeypatch.setattr(fetch_fonts.shutil, "which", "/bin/{}".format)
    monkeypatch.setattr(fetch_fonts, "_fetch", fetch)
    (tmp_path / "lobster-latin-400-normal.woff").touch()
    assert fetch_fonts.main([str(tmp_path)]) == 0
    listed = fetch_fonts.listed_packages(fetch_fonts.LIST)
    assert fetched == [package for package in listed if not package.startswith("lobster@")]
    assert len(fetched) == len(listed) - 1


def test_without_npm_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch_fonts.shutil, "which", {}.get)
    assert fetch_fonts.main([str(tmp_path)]) == 1
    assert "npm was not found" in capsys.readouterr().err


def test_what_is_fetched_is_found_by_the_renderer_as_listed(tmp_path: Path) -> None:
    """The names of the files are what the renderer tells listed families by."""
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib is not None
    assert matplotlib.origin is not None
    (plain,) = Path(matplotlib.origin).parent.rglob("DejaVuSans.ttf")
    package = tmp_path / "a.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(plain, "package/files/pacifico-latin-400-normal.woff")
    (tmp_path / "faces").mkdir()
    fetch_fonts.unpack_faces(package, tmp_path / "faces")
    (face,) = FontBook.discover([tmp_path / "faces"], minimum=1).faces
    assert (face.family, face.style) == ("pacifico", "script")
