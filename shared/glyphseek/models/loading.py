"""From a model's name to the model: the one place that knows which methods there are.

Importing this module is cheap: torch is imported when a model is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.presets import describe_way
from glyphseek.ports import Model
from glyphseek.types import Precision

if TYPE_CHECKING:
    from torch import nn

    from glyphseek.models.checkpoint import Manifest

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_MODEL = "glyphseek/tdsl-small"
PUBLISHER = "glyphseek/"
TOKENIZER = "tokenizer.json"
"""Beside the weights of a model whose text tower needs one (SigLIP)."""


def shipped_models() -> list[str]:
    """Return the ids of the models that come with the package."""
    return sorted(PUBLISHER + path.parent.name for path in SHIPPED.glob("*/manifest.json"))


def find_model(name: str) -> Path:
    """Return the folder of a model given by its id (`glyphseek/tdsl-small`, or without publisher) or by its own path.

    Raises ModelNotFound, which lists the known ids and says how a model is made of a preset, and SettingError for an id
    without publisher that is a model in the working folder too: neither is taken for the other.
    """
    shipped = name if name.startswith(PUBLISHER) else PUBLISHER + name
    local = Path(name)
    if shipped not in shipped_models():
        if _is_model(local):
            return local
        raise ModelNotFound(_tell_missing(name))
    found = SHIPPED / shipped.removeprefix(PUBLISHER)
    if name != shipped and _is_model(local) and not local.samefile(found):
        raise SettingError(
            f"{name!r} is a model in the working folder and the name of a shipped one: write ./{name} for the folder, "
            f"{shipped} for the shipped one"
        )
    return found


def _tell_missing(name: str) -> str:
    shipped = ", ".join(shipped_models()) or "none"
    way = describe_way(name.removeprefix(PUBLISHER))
    if way is None:
        return f"no model {name!r}; shipped: {shipped}; or give the folder of a packaged model"
    return (
        f"{name!r} is a preset without weights here; make a model of it: {way}; then --model FOLDER. Shipped: {shipped}"
    )


def _is_model(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def lasting_name(name: str) -> str:
    """Return the name under which a model is found from any working folder: its id, or its absolute path.

    Raises as `find_model` does.
    """
    folder = find_model(name)
    return PUBLISHER + folder.name if folder.parent == SHIPPED else str(folder.resolve())


def _public_name(folder: Path, manifest: Manifest) -> str:
    """Return what a model calls itself: with the publisher only where it ships with the package."""
    return PUBLISHER + manifest.name if folder.parent == SHIPPED else manifest.name


def open_model(name: str = DEFAULT_MODEL, *, device: str = "cpu", precision: Precision = "auto") -> Model:
    """Return the model of that id or path, ready to encode. Raises as `find_model`, and CheckpointDamaged.

    `precision` is that of the convolutions of TDSL models; CAYN models count in float32.
    """
    from glyphseek.models.checkpoint import load_manifest

    folder = find_model(name)
    manifest = load_manifest(folder)
    match manifest.method:
        case "tdsl":
            return _open_tdsl(folder, manifest, device, precision)
        case "cayn":
            return _open_cayn(folder, manifest, device)
        case method:
            raise CheckpointDamaged(f"{folder}: unknown method {method!r}; known: cayn, tdsl")


def _open_tdsl(folder: Path, manifest: Manifest, device: str, precision: Precision) -> Model:
    from glyphseek.models.tdsl.encoder import TdslEncoder, make_card
    from glyphseek.models.tdsl.network import Tdsl
    from glyphseek.models.tdsl.settings import restore_settings

    settings = restore_settings(manifest.preset)
    network = Tdsl(settings)
    _fill(network, folder, manifest)
    name = _public_name(folder, manifest)
    card = make_card(settings, name, manifest.fingerprint, calibration=manifest.calibration, letters=manifest.letters)
    return TdslEncoder(network, card, device=device, precision=precision)


def _open_cayn(folder: Path, manifest: Manifest, device: str) -> Model:
    from glyphseek.models.cayn.building import build_network
    from glyphseek.models.cayn.encoder import CaynEncoder, make_card
    from glyphseek.models.cayn.settings import restore_settings
    from glyphseek.models.checkpoint import load_codebook

    tokenizer = folder / TOKENIZER
    network = build_network(restore_settings(manifest.preset), tokenizer=tokenizer if tokenizer.is_file() else None)
    _fill(network, folder, manifest)
    card = make_card(
        network,
        _public_name(folder, manifest),
        manifest.fingerprint,
        calibration=manifest.calibration,
        rerank_calibration=manifest.rerank_calibration,
        rerank_depth=manifest.rerank_depth,
    )
    return CaynEncoder(network, card, codebook=load_codebook(folder, manifest), device=device)


def _fill(network: nn.Module, folder: Path, manifest: Manifest) -> None:
    """Load the folder's weights. Raises CheckpointDamaged when they are not those of this network."""
    from glyphseek.models.checkpoint import load_weights

    try:
        network.load_state_dict(load_weights(folder, manifest))
    except RuntimeError as error:
        raise CheckpointDamaged(f"{folder}: {error}") from error
