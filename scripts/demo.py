"""The whole main job in one go: render photos (or take PHOTOS), index them, search three times, draw the hits.

    python scripts/demo.py FOLDER        PHOTOS and QUERIES (comma separated) from the environment, both optional

Rendered photos, their gallery and the picture of the hits are in FOLDER itself; each folder of PHOTOS has one of its
own in it. Every command is printed before it runs, so that it can be typed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from glyphseek.cli.gallery import GALLERY_FILE, describe
from glyphseek.models.checkpoint import load_manifest
from glyphseek.models.loading import DEFAULT_MODEL, find_model

RENDERED_PHOTOS = 60
USUAL_QUERIES = ("open", "coffee", "street")
LEFT_OUT_SOME = 3


def main() -> int:
    """Run the demo in the folder given and return the exit code."""
    run = Path(sys.argv[1])
    run.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("PHOTOS")
    photos = Path(given).expanduser() if given else rendered_photos(run / "photos")  # make hands on a quoted ~
    asked = [query for query in os.environ.get("QUERIES", "").split(",") if query]
    queries = asked or frequent_words(photos.parent) or list(USUAL_QUERIES)
    made = folder_for(run, photos) if given else run
    gallery, picture = str(gallery_in(made)), str(made / "hits.png")
    glyphseek("index", str(photos), "--gallery", gallery, allowed=(0, LEFT_OUT_SOME))
    glyphseek("search", *queries, "--gallery", gallery, "--top", "4", "--picture", picture)
    print(f"\nThe gallery is {gallery}\nLook at {picture}")
    return 0


def folder_for(run: Path, photos: Path) -> Path:
    """Return where the gallery of these photos is: the same folder for the same path, another for every other path."""
    path = photos.resolve()
    return run / f"{path.name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def gallery_in(folder: Path) -> Path:
    """Return the gallery in this folder. One that another model wrote is left alone, and today's model has its own."""
    usual, fingerprint = folder / "gallery", load_manifest(find_model(DEFAULT_MODEL)).fingerprint
    if not (usual / GALLERY_FILE).exists() or describe(usual).card.fingerprint == fingerprint:
        return usual
    ours = folder / f"gallery-{fingerprint[:8]}"
    print(f"{usual} was written by another model and stays as it is; that of {DEFAULT_MODEL} is {ours}", flush=True)
    return ours


def rendered_photos(folder: Path) -> Path:
    """Return the images of a rendered gallery, made on the first call."""
    if not (folder / "qrels.json").exists():
        glyphseek("render", str(folder), "--count", str(RENDERED_PHOTOS), "--seed", "2026")
    return folder / "images"


def frequent_words(folder: Path) -> list[str]:
    """Return the three words of four letters or more that stand in most rendered photos; none for other photos."""
    found = folder / "qrels.json"
    if not found.exists():
        return []
    relevant: dict[str, list[str]] = json.loads(found.read_text())
    words = [word for word in relevant if len(word) > 3 and word.isalpha()]
    return sorted(words, key=lambda word: (-len(relevant[word]), word))[:3]


def glyphseek(*words: str, allowed: tuple[int, ...] = (0,)) -> None:
    """Print and run one command; end with its exit code when that is not an allowed one."""
    print(f"\n$ glyphseek {shlex.join(words)}", flush=True)
    code = subprocess.run([str(Path(sys.executable).with_name("glyphseek")), *words], check=False).returncode
    if code not in allowed:
        raise SystemExit(code)


if __name__ == "__main__":
    raise SystemExit(main())
