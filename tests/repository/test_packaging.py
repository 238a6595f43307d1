from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED_MODELS = ROOT / "shared/glyphseek/models/weights"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_holds_every_package_of_both_source_roots(project: dict[str, Any]) -> None:
    packages = {
        str(folder.parent.relative_to(ROOT))
        for root in ("shared", "services")
        for folder in (ROOT / root).glob("*/__init__.py")
    }

    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == packages


def test_every_module_of_the_library_is_placed_in_a_layer(project: dict[str, Any]) -> None:
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    library = ROOT / "shared/glyphseek"
    modules = {path.stem for path in library.glob("*.py") if path.stem != "__init__"}
    packages = {path.parent.name for path in library.glob("*/__init__.py")}

    assert placed == modules | packages


def test_shipped_weights_are_within_thirty_megabytes() -> None:
    sizes = {path: path.stat().st_size for path in SHIPPED_MODELS.glob("*/*.safetensors")}

    assert sizes
    assert sum(sizes.values()) <= 30e6


def test_no_generic_name_would_be_installed(project: dict[str, Any]) -> None:
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert Path(package).name.startswith("glyphseek")
