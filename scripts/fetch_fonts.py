#!/usr/bin/env python3
"""Fetch the Latin faces of the families in fonts-fontsource.txt into a folder that training searches for fonts.

Needs npm, which downloads the packages; of each, the regular, bold and black upright faces are kept.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "shared" / "glyphseek" / "datasets" / "scenes" / "fonts-fontsource.txt"
WEIGHTS = (400, 700, 900)
"""CSS weights that are kept; of a family that has none of them, its lightest."""

AT_ONCE = 20
"""Packages of one npm call."""

_FACE = re.compile(r"(?P<family>.+)-latin-(?P<weight>\d+)-normal\.woff")


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is not there yet; return 0, or 1 where npm is missing or fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for example ~/.fonts/fontsource")
    folder: Path = parser.parse_args(arguments).folder
    npm = shutil.which("npm")
    if npm is None:
        print("npm was not found; install Node.js, which has it", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    here = {found["family"] for path in folder.iterdir() if (found := _FACE.fullmatch(path.name))}
    wanted = [package for package in listed_packages(LIST) if package.partition("@")[0] not in here]
    with tqdm(total=len(wanted), unit="family") as progress:
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            try:
                _fetch(npm, some, folder)
            except subprocess.CalledProcessError as error:
                print(f"npm failed on {' '.join(some)}:\n{error.stderr.decode()}", file=sys.stderr)
                return 1
            progress.update(len(some))
    print(f"{len(here) + len(wanted)} families in {folder}")
    return 0


def listed_packages(path: Path) -> list[str]:
    """Return name@version of each family of the list."""
    return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]


def unpack_faces(package: Path, folder: Path) -> list[str]:
    """Copy the faces that are wanted from a package's archive to the folder; return their names."""
    with tarfile.open(package) as archive:
        found = {
            int(face["weight"]): member
            for member in archive.getmembers()
            if member.isfile() and (face := _FACE.fullmatch(Path(member.name).name))
        }
        kept = [weight for weight in WEIGHTS if weight in found] or sorted(found)[:1]
        for weight in kept:
            content = archive.extractfile(found[weight])
            assert content is not None
            (folder / Path(found[weight].name).name).write_bytes(content.read())
    return [Path(found[weight].name).name for weight in kept]


def _fetch(npm: str, packages: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            npm,
            "pack",
            "--silent",
            "--pack-destination",
            scratch,
            *(f"@fontsource/{name}" for name in packages),
        ]
        subprocess.run(command, check=True, capture_output=True)
        for package in sorted(Path(scratch).glob("*.tgz")):
            unpack_faces(package, folder)


if __name__ == "__main__":
    sys.exit(main())
