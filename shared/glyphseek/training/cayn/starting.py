"""The network that a training of adapter and head starts from."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from glyphseek.errors import CheckpointDamaged, ModelNotFound
from glyphseek.models.cayn.building import build_network, load_network
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.settings import CaynSettings
from glyphseek.models.checkpoint import MANIFEST, load_manifest, load_weights
from glyphseek.training.run import RunFolder

BACKBONE_PARTS = ("backbone.", "clip.")
"""Under which names a packaged CAYN model and the stage of the dense CLIP keep the backbone."""


def start_network(settings: CaynSettings, weights: str) -> Cayn:
    """Return the preset's network with the backbone of `weights`, adapter and head untrained.

    For a published backbone `weights` is what `load_network` takes: an open_clip tag, hf-hub:owner/name, a file or an
    s3:// address. For one of this project it is a packaged model's folder, or the run folder of a stage that trained
    it; a packaged TDSL model is the trunk and the text tower of word regions. Raises ModelNotFound when it is neither,
    CheckpointDamaged when it holds another backbone.
    """
    if settings.clip is not None:
        return load_network(settings, weights)
    network = build_network(settings)
    if settings.regions is not None and is_tdsl(Path(weights)):
        return start_from_reader(network, Path(weights))
    try:
        network.backbone.load_state_dict(read_backbone(Path(weights)))
    except RuntimeError as error:
        raise CheckpointDamaged(f"{weights} does not hold the backbone of {settings.name!r}: {error}") from error
    return network


def is_tdsl(folder: Path) -> bool:
    """Return whether the folder holds a packaged TDSL model."""
    return (folder / MANIFEST).is_file() and load_manifest(folder).method == "tdsl"


def start_from_reader(network: Cayn, folder: Path) -> Cayn:
    """Return the network with a TDSL model as trunk and text tower. Raises CheckpointDamaged for one of other sizes."""
    tensors = {f"reader.{name}": value for name, value in load_weights(folder, load_manifest(folder)).items()}
    try:
        missing = network.backbone.load_state_dict(tensors, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointDamaged(f"{folder} is no trunk for {network.settings.name!r}: {error}") from error
    if left_out := [name for name in missing if name.startswith("reader.")]:
        raise CheckpointDamaged(f"{folder} has no {left_out[0]!r}")
    return network


def read_backbone(folder: Path) -> dict[str, Tensor]:
    """Return the backbone's tensors of a packaged model or a run, by the backbone's own names."""
    if (folder / MANIFEST).is_file():
        tensors = load_weights(folder, load_manifest(folder))
    elif (folder / "state.json").is_file():
        tensors = RunFolder(folder).weights()
    else:
        raise ModelNotFound(f"{folder} is neither a packaged model nor a training run")
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        for prefix in BACKBONE_PARTS
        if name.startswith(prefix)
    }
