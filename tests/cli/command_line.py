"""Runs the command line in this process, as the installed script does, and makes what it is tried on."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from glyphseek.cli import main
from glyphseek.models.checkpoint import Manifest, save_checkpoint, save_manifest
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import find_preset
from glyphseek.types import Calibration

PHOTOS = ("coffee.png", "open.png", "sub/taxi.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """A gallery that was indexed once, from which photos, with which model, and how that ended."""

    gallery: Path
    photos: Path
    model: Path
    ended: Ended

    def copied(self, to: Path) -> Path:
        """Return a copy of the gallery that may be changed."""
        shutil.copytree(self.gallery, to)
        return to


def glyphseek(*words: str | Path) -> Ended:
    """Run one command to its end."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Ended(code=code, out=out.getvalue(), err=err.getvalue())


def write_model(folder: Path, *, seed: int = 0, name: str = "tdsl-tiny") -> Path:
    """Write a packaged model of random weights that finds a handful of words in any photo, and return its folder."""
    torch.manual_seed(seed)
    settings = replace(find_preset("tdsl-tiny"), name=name, max_instances=5)
    network = Tdsl(settings)
    heads = network.detector.heads.bias
    assert heads is not None
    with torch.no_grad():
        heads[0] = 1.0
    manifest = Manifest(
        name=name,
        method="tdsl",
        preset=json.loads(json.dumps(asdict(settings))),
        weights_sha256=save_checkpoint(folder, network.state_dict()),
        parameters=sum(p.numel() for p in network.parameters()),
        licence="Apache-2.0",
        calibration=Calibration(slope=10.0, offset=-7.0, threshold=0.5),
        commands=[],
        data=[],
        stages=[],
    )
    save_manifest(folder, manifest)
    return folder


def write_photos(folder: Path) -> Path:
    """Write three small photos with a word each, and return the folder."""
    for place, name in enumerate(PHOTOS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((96, 128, 3), 60 + 50 * place, np.uint8)
        cv2.putText(pixels, path.stem, (6, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        cv2.imwrite(str(path), pixels)
    return folder
