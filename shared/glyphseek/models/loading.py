"""From a model's name to the model: the one place that knows which methods there are."""

from __future__ import annotations

from pathlib import Path

from glyphseek.errors import CheckpointDamaged, ModelNotFound
from glyphseek.models.checkpoint import Manifest, load_manifest, load_weights
from glyphseek.ports import Model
from glyphseek.types import FeatureKind, ModelCard

SHIPPED = Path(__file__).parent / "weights"
DEFAULT_MODEL = "glyphseek/tdsl-small"
PUBLISHER = "glyphseek/"


def shipped_models() -> list[str]:
    """Return the ids of the models that come with the package."""
    return sorted(PUBLISHER + path.parent.name for path in SHIPPED.glob("*/manifest.json"))


def find_model(name: str) -> Path:
    """Return the folder of a model given by its id (`glyphseek/tdsl-small`) or by its own path.

    Raises ModelNotFound, which lists the known ids.
    """
    shipped = SHIPPED / name.removeprefix(PUBLISHER)
    for folder in (shipped, Path(name)):
        if (folder / "manifest.json").is_file():
            return folder
    raise ModelNotFound(
        f"no model {name!r}; shipped: {', '.join(shipped_models()) or 'none'}; or give the folder of a packaged model"
    )


def open_model(name: str = DEFAULT_MODEL, *, device: str = "cpu") -> Model:
    """Return the model of that id or path, ready to encode. Raises ModelNotFound or CheckpointDamaged."""
    folder = find_model(name)
    manifest = load_manifest(folder)
    match manifest.method:
        case "tdsl":
            from glyphseek.models.tdsl.encoder import TdslEncoder
            from glyphseek.models.tdsl.network import Tdsl
            from glyphseek.models.tdsl.settings import ALPHABET, restore_settings

            settings = restore_settings(manifest.preset)
            network = Tdsl(settings)
            try:
                network.load_state_dict(load_weights(folder, manifest))
            except RuntimeError as error:
                raise CheckpointDamaged(f"{folder}: {error}") from error
            return TdslEncoder(
                network,
                make_card(manifest, settings.vector_width, ALPHABET, settings.max_query_characters),
                device=device,
            )
        case method:
            raise CheckpointDamaged(f"{folder}: unknown method {method!r}; known: tdsl")


def make_card(manifest: Manifest, vector_width: int, alphabet: str, max_query_characters: int) -> ModelCard:
    """Return the card of an instance-vector model."""
    return ModelCard(
        name=PUBLISHER + manifest.name,
        method=manifest.method,
        fingerprint=manifest.fingerprint,
        vector_width=vector_width,
        features=frozenset({FeatureKind.INSTANCES}),
        alphabet=alphabet,
        max_query_characters=max_query_characters,
        understands_meaning=False,
        calibration=manifest.calibration,
    )
