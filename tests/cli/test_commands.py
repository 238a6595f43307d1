"""What holds for every command."""

from __future__ import annotations

import subprocess
import sys

from cli.command_line import glyphseek

COMMANDS = (
    *("index", "ingest", "search", "serve", "info", "verify", "gc", "delete", "export"),
    *("eval", "codecs", "render", "train", "package"),
)

ASK_FOR_HELP = """
import sys
from glyphseek.cli import app, main

names = [command.name or command.callback.__name__ for command in app.registered_commands]
for words in ([], *([name] for name in names)):
    try:
        main([*words, "--help"])
    except SystemExit as end:
        assert end.code == 0, words
print("commands:", *names)
heavy = ("torch", "scipy", "pymilvus", "matplotlib", "cv2", "ray", "grpc", "httpx")
print("heavy:", *(name for name in heavy if name in sys.modules))
"""


def test_help_of_every_command_imports_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", ASK_FOR_HELP], capture_output=True, text=True, check=True)

    lines = ended.stdout.splitlines()
    assert f"commands: {' '.join(COMMANDS)}" in lines
    assert lines[-1].strip() == "heavy:"
    for name in COMMANDS:
        assert f"glyphseek {name} " in ended.stdout.replace("Usage: -c ", "Usage: glyphseek ")


def test_an_unknown_option_is_bad_input() -> None:
    ended = glyphseek("search", "coffee", "--galery", "x")

    assert ended.code == 2
    assert "--galery" in ended.err


def test_an_error_of_the_system_is_one_line(tmp_path: object) -> None:
    ended = glyphseek("package", f"{tmp_path}/model", "--run", f"{tmp_path}/no-run")

    assert ended.code == 1
    assert ended.err.startswith(("FileNotFoundError: ", "CheckpointDamaged: "))
    assert len(ended.err.splitlines()) == 1


def test_a_copy_of_a_model_needs_its_size_and_nothing_else(tmp_path: object) -> None:
    alone = glyphseek("package", f"{tmp_path}/model", "--model", "tdsl-small")
    both = glyphseek("package", f"{tmp_path}/model", "--model", "tdsl-small", "--longer-side", "1280", "--run", "x")
    nothing = glyphseek("package", f"{tmp_path}/model", "--run", "x", "--also-at", "448")

    assert (alone.code, both.code, nothing.code) == (2, 2, 2)
    assert "--model and --longer-side belong together" in alone.err
    assert "leave --run, --weights and --data out" in both.err
    assert "--also-at is for a copy" in nothing.err
