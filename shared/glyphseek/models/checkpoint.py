"""A shipped model on disk: weights as safetensors and a manifest that says where they come from.

<model>/model.safetensors      fp16 tensors by the network's own names
<model>/manifest.json          everything else, see `Manifest`
<model>/codebook.safetensors   float32 tables that token maps are packed with, where the method has token maps
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from glyphseek.errors import CheckpointDamaged, InputError, ModelNotFound, SettingError
from glyphseek.tokens import TokenCodebook
from glyphseek.types import Calibration, LetterScale

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
CODEBOOK = "codebook.safetensors"


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
    rerank_depth: int | None = None
    """For methods that rerank: how many images are worth it, by `figures`; a search may ask for another number."""
    letters: LetterScale | None = None
    """For methods that keep letters: the similarity that they make; it changes no feature either."""
    codebook_sha256: str | None = None
    """Of the file of the codebook, None where there is none. It changes no vector, so it is not in the fingerprint."""

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
        if values.get("letters") is not None:
            values["letters"] = LetterScale(**values["letters"])
        depth = values.get("rerank_depth")
        if not (depth is None or (isinstance(depth, int) and depth >= 0)):
            raise ValueError(f"rerank_depth is {depth!r}, it must be a count")
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


def attach_codebook(folder: Path, codebook: TokenCodebook) -> Manifest:
    """Write the codebook beside the weights, name its hash in the manifest, and return the manifest.

    Raises SettingError when the model has another codebook: galleries packed with that could no longer be read.
    """
    manifest = load_manifest(folder)
    known = load_codebook(folder, manifest)
    if known is not None and known.fingerprint != codebook.fingerprint:
        raise SettingError(
            f"{folder} has codebook {known.fingerprint} already; galleries packed with it could not be read with "
            f"{codebook.fingerprint}. Use a copy of the model"
        )
    save_arrays(codebook.tables(), folder / CODEBOOK, metadata={"token_width": str(codebook.token_width)})
    manifest = replace(manifest, codebook_sha256=hash_file(folder / CODEBOOK))
    save_manifest(folder, manifest)
    return manifest


def load_codebook(folder: Path, manifest: Manifest) -> TokenCodebook | None:
    """Return the model's codebook, None where the manifest names none.

    Raises CheckpointDamaged when the file is not the one that the manifest names, or holds no codebook.
    """
    if manifest.codebook_sha256 is None:
        return None
    path = folder / CODEBOOK
    if not path.is_file():
        raise CheckpointDamaged(f"{path} is missing")
    found = hash_file(path)
    if found != manifest.codebook_sha256:
        raise CheckpointDamaged(f"{path} has SHA-256 {found}, its manifest says {manifest.codebook_sha256}")
    try:
        with safe_open(path, framework="numpy") as file:
            width = int(file.metadata()["token_width"])
            return TokenCodebook(token_width=width, **{name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, InputError, TypeError, KeyError, ValueError) as error:
        raise CheckpointDamaged(f"{path}: {error}") from error


def hash_file(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
