from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import cast

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from glyphseek.cli import app

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


def documents() -> list[Path]:
    """Return the documents whose commands a reader may type."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def typed_commands() -> list[tuple[str, str]]:
    """Return what stands after `$ glyphseek` in a console of any document, with the document's name."""
    return [
        (str(document.relative_to(ROOT)), line)
        for document in documents()
        for line in re.findall(r"^\$ glyphseek (.+)$", document.read_text(), flags=re.MULTILINE)
    ]


def named_commands() -> list[tuple[str, str]]:
    """Return what stands after `glyphseek` in running text: commands in part, with the document's name."""
    return [
        (str(document.relative_to(ROOT)), line)
        for document in documents()
        if document.name != "CHANGELOG.md"  # it names options that were
        for line in re.findall(r"`(?:\$ )?glyphseek ([a-z]+[^`]*)`", document.read_text())
    ]


def options() -> dict[str, set[str]]:
    """Return the options of every command."""
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in cast("TyperGroup", get_command(app)).commands.items()
    }


def parse_only() -> typer.Typer:
    """Return the command line with its parameters, of which no command does anything."""
    parsing = typer.Typer()
    for command in app.registered_commands:
        assert command.callback is not None
        parsing.command(command.name or command.callback.__name__)(do_nothing(command.callback))
    return parsing


def do_nothing(callback: Callable[..., object]) -> Callable[..., None]:
    @wraps(callback)
    def nothing(*_: object, **__: object) -> None:
        return

    return nothing


def refusal(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what the command line has against a command; words in capitals stand for folders that a reader has."""
    words = shlex.split(line, comments=True)
    for word in words:
        if word.isupper():
            (folder / word).mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    ended = CliRunner().invoke(parse_only(), words)
    return ended.output if ended.exit_code else ""


@pytest.mark.parametrize(("document", "line"), typed_commands())
def test_a_command_of_a_document_can_be_typed_as_it_stands(
    document: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not refusal(line, tmp_path, monkeypatch), document


@pytest.mark.parametrize(("document", "line"), named_commands())
def test_options_of_a_command_in_running_text_are_its_options(document: str, line: str) -> None:
    name, *words = shlex.split(line)

    assert name in options(), document
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options()[name], document


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("index PHOTOS --galery G", "--galery"),
        ("index PHOTOS --codec zip", "zip"),
        ("index PHOTOS -g", "-g"),
        ("info -g G other", "other"),
        ("train words --run runs --steps some", "--steps"),
        ("train words", "--run"),
        ("serv", "serv"),
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(
    line: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reason in refusal(line, tmp_path, monkeypatch)


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
