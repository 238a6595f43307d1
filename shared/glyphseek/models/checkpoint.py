"""A shipped model on disk: weights as safetensors and a manifest that says where they come from.

<model>/model.safetensors   fp16 tensors by the network's own names
<model>/manifest.json       everything else, see `Manifest`
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glyphseek.errors import CheckpointDamaged, ModelNotFound
from glyphseek.types import Calibration

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of shipped weights. `preset` holds every setting of the network: weights explain themselves."""

    name: str
    method: str
    preset: dict[str, object]
    weights_sha256: str
    parameters: int
    licence: str
    calibration: Calibration
    commands: list[str]
    """The commands that trained it, in order."""
    data: list[str]
    """What it was trained on, with counts, and what it was never shown."""
    stages: list[dict[str, object]]
    """Steps, samples and seconds of each training stage."""
    figures: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    """Measured results: set, queries, images, value."""
    rerank_calibration: Calibration | None = None
    """For methods that rerank: the calibration of fused scores; None where `calibration` serves both."""

    @property
    def fingerprint(self) -> str:
        """Return 32 hex digits that change whenever the vectors of this model would."""
        told = json.dumps([self.method, self.preset, self.weights_sha256], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def save_checkpoint(folder: Path, tensors: dict[str, Tensor]) -> str:
    """Write tensors (floating ones as fp16) and return the SHA-256 of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {k: v.half().contiguous() if v.is_floating_point() else v.contiguous() for k, v in tensors.items()}
    save_file(halves, folder / WEIGHTS)
    return hash_file(folder / WEIGHTS)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest as indented JSON."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest. Raises ModelNotFound without one, CheckpointDamaged when it does not read as one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelNotFound(f"{folder} is not a model: {MANIFEST} is missing")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["calibration"] = Calibration(**values["calibration"])
        if values.get("rerank_calibration") is not None:
            values["rerank_calibration"] = Calibration(**values["rerank_calibration"])
        return Manifest(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointDamaged(f"{path} is not a manifest: {error}") from error


def load_weights(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    """Return the tensors as fp32. Raises CheckpointDamaged when the file is not the one that the manifest names."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointDamaged(f"{path} is missing")
    found = hash_file(path)
    if found != manifest.weights_sha256:
        raise CheckpointDamaged(f"{path} has SHA-256 {found}, its manifest says {manifest.weights_sha256}")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise CheckpointDamaged(f"{path}: {error}") from error
    return {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in tensors.items()}


def hash_file(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
