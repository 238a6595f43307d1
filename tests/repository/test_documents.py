from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def tree_entries() -> list[str]:
    """Return the paths of the annotated tree in the README."""
    block = README.split("## What is where")[1].split("```")[1]
    entries: list[str] = []
    for line in block.strip().splitlines():
        name = line.split()[0]
        entries.append(f"shared/glyphseek/{name}" if line.startswith("  ") else name)
    return entries


@pytest.mark.parametrize("entry", tree_entries())
def test_every_entry_of_the_annotated_tree_exists(entry: str) -> None:
    assert (ROOT / entry).exists()


def test_every_part_of_the_library_is_in_the_annotated_tree() -> None:
    library = ROOT / "shared/glyphseek"
    parts = {path.name for path in library.glob("*.py") if not path.stem.startswith("__")}
    parts |= {f"{path.parent.name}/" for path in library.glob("*/__init__.py")}

    assert parts == {
        Path(e).name + ("/" if e.endswith("/") else "")
        for e in tree_entries()
        if e.startswith("shared/glyphseek/") and e != "shared/glyphseek/"
    }


def test_every_command_of_the_readme_is_a_command() -> None:
    from glyphseek.cli import app

    known = {
        command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands
    }
    named = set(re.findall(r"^\$ glyphseek (\w+)", README, flags=re.MULTILINE))

    assert named <= known


def test_relative_links_of_the_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_nothing_but_the_library_imports_by_its_source_root() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")

    for name in listed.stdout.split():
        text = (ROOT / name).read_text()
        assert not re.search(r"^\s*(from|import) (shared|services)\b", text, flags=re.MULTILINE), name
