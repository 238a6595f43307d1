"""ImageNet weights of a ResNet-50 as the trunk's start: the paper's network does not begin at random."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from glyphseek.errors import CheckpointDamaged, SettingError
from glyphseek.models.tdsl.network import Tdsl

NOT_OF_THE_TRUNK = ("fc.", "head.")
"""Names of a classifier's last layer, which is left out."""
SHOWN = 3


def load_backbone(network: Tdsl, file: Path) -> None:
    """Load a ResNet-50 state dict by torchvision's names (`.safetensors`, or `.pth` without code) into the trunk.

    The classifier's layer and the counters of its batch norms are left out. torchvision's weights read the same
    normalised RGB as this network. Raises SettingError for a network of another trunk; CheckpointDamaged, with names
    and shapes, when the file cannot be read or is of another network.
    """
    if network.settings.backbone != "resnet50":
        raise SettingError(
            f"{network.settings.name} has a trunk of its own; weights of a ResNet-50 fit presets with one, such as "
            "tdsl-r50"
        )
    trunk = network.pyramid.trunk
    wanted = {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}
    tensors = {
        name: tensor
        for name, tensor in read_tensors(file).items()
        if not name.startswith(NOT_OF_THE_TRUNK) and not name.endswith("num_batches_tracked")
    }
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != wanted:
        raise CheckpointDamaged(f"{file} is no ResNet-50 as torchvision has it: {tell_difference(found, wanted)}")
    trunk.load_state_dict(tensors)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU. Raises CheckpointDamaged; nothing in the file is executed."""
    if not file.is_file():
        raise CheckpointDamaged(f"{file} is missing")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointDamaged(f"{file} cannot be read as weights: {error}") from error
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise CheckpointDamaged(f"{file} holds no state dict: tensors by name")
    return {str(name): tensor for name, tensor in held.items()}


def tell_difference(found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> str:
    """Return the first names that are missing, not known, or of another shape, as a phrase."""
    groups = {
        "missing": sorted(wanted.keys() - found.keys()),
        "not known": sorted(found.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {list(found[name])} for {list(wanted[name])}"
            for name in sorted(found.keys() & wanted.keys())
            if found[name] != wanted[name]
        ],
    }
    return "; ".join(
        f"{len(names)} {what}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
        for what, names in groups.items()
        if names
    )
