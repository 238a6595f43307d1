"""From settings and weights to a CLIP network: the door to this folder.

Importing this module needs neither open_clip nor torch; the functions do.
"""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from glyphseek.errors import CheckpointDamaged, MissingExtra, SettingError
from glyphseek.models.clip.settings import Architecture, ClipSettings

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP

    from glyphseek.models.clip.tower import ClipBackbone


UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError, StopIteration
)  # fmt: skip
"""What reading a file that is no checkpoint may raise, besides safetensors' own error."""


def load_clip(settings: ClipSettings, weights: str, *, home: Path | None = None) -> ClipBackbone:
    """Return the network with published weights, on the CPU, float32, in evaluation mode.

    `weights` and `home` (where fetched files are kept) are those of `weights.find_weights`. Raises ModelNotFound,
    CheckpointDamaged, SettingError when the weights want another activation, and MissingExtra without open_clip.
    """
    check_installed()
    from glyphseek.models.clip.weights import WEIGHTS_HOME, find_tokenizer, find_weights

    home = WEIGHTS_HOME if home is None else home
    architecture = settings.architecture
    _check_activation(settings, weights)
    file = find_weights(architecture, weights, home=home)
    tokenizer = find_tokenizer(architecture, beside=file, home=home) if "SigLIP" in architecture else None
    clip = create_clip(settings)
    fill_clip(clip, file, architecture)
    return take_apart(clip, settings, tokenizer=tokenizer)


def build_clip(settings: ClipSettings, *, tokenizer: Path | None = None) -> ClipBackbone:
    """Return the network with random weights, in evaluation mode: to be filled from a checkpoint of this project.

    SigLIP reads texts with the `tokenizer.json` at `tokenizer`; the file is opened when the first text is read.
    Raises MissingExtra without open_clip.
    """
    check_installed()
    return take_apart(create_clip(settings), settings, tokenizer=tokenizer)


def check_installed() -> None:
    """Raise MissingExtra when open_clip or the tokenizer library is not installed."""
    for library in ("open_clip", "tokenizers"):
        if find_spec(library) is None:
            raise MissingExtra(f"CLIP needs {library}: pip install 'glyphseek[clip]'")


def create_clip(settings: ClipSettings) -> CLIP | CustomTextCLIP:
    """Return open_clip's own model with random weights, on the CPU. It never looks for weights by itself."""
    from open_clip.factory import get_model_config
    from open_clip.model import CLIP, CustomTextCLIP

    config = cast(dict[str, object], get_model_config(settings.architecture))
    kind = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    return kind(**{**config, "quick_gelu": settings.quick_gelu}).eval()  # pyright: ignore[reportArgumentType]


def fill_clip(clip: CLIP | CustomTextCLIP, file: Path, architecture: Architecture) -> None:
    """Load a file of weights into open_clip's model; no code inside the file is run.

    Raises CheckpointDamaged for a file that is no such checkpoint, or one of another architecture.
    """
    from open_clip.factory import load_checkpoint
    from safetensors import SafetensorError

    try:
        load_checkpoint(clip, str(file), strict=True, weights_only=True)
    except (SafetensorError, *UNREADABLE) as error:
        told = " ".join(str(error).split()).partition(". ")[0][:300]  # torch goes on to advise running the file's code
        raise CheckpointDamaged(
            f"{file} does not hold weights of {architecture} as safetensors or plain tensors "
            f"(a TorchScript archive, as OpenAI publishes them, holds code and is not read): {told}"
        ) from error


def take_apart(clip: CLIP | CustomTextCLIP, settings: ClipSettings, *, tokenizer: Path | None = None) -> ClipBackbone:
    """Return the backbone that is made of the parts of open_clip's model, which it shares."""
    from open_clip.model import CLIP
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import TextTransformer, VisionTransformer
    from timm.models.vision_transformer import VisionTransformer as TimmTransformer
    from torch import nn

    from glyphseek.models.clip.resnet import ResNetBackbone
    from glyphseek.models.clip.siglip import SiglipBackbone
    from glyphseek.models.clip.text import ClipTextTower, SiglipTextTower
    from glyphseek.models.clip.vit import VitBackbone
    from glyphseek.models.clip.weights import TOKENIZER, WEIGHTS_HOME

    default_file = WEIGHTS_HOME.expanduser() / f"{settings.architecture}-{TOKENIZER}"
    if isinstance(clip, CLIP):
        text = ClipTextTower(clip)
    else:
        text = SiglipTextTower(cast(TextTransformer, clip.text), tokenizer or default_file)
    visual = cast(nn.Module, clip.visual)
    match visual:
        case ModifiedResNet():
            return ResNetBackbone(settings, visual, text, clip.logit_scale).eval()
        case VisionTransformer():
            return VitBackbone(settings, visual, text, clip.logit_scale).eval()
        case TimmModel():
            return SiglipBackbone(settings, cast(TimmTransformer, visual.trunk), text, clip.logit_scale).eval()
        case _:
            raise SettingError(f"{settings.architecture} has an image tower of another kind: {type(visual).__name__}")


def _check_activation(settings: ClipSettings, weights: str) -> None:
    """Raise SettingError when published weights were trained with another activation than the settings name."""
    from glyphseek.models.clip.weights import published_settings

    published = published_settings(settings.architecture, weights)
    if published is not None and bool(published.get("quick_gelu", False)) != settings.quick_gelu:
        raise SettingError(
            f"weights {weights!r} of {settings.architecture} were trained with "
            f"quick_gelu={not settings.quick_gelu}; the settings say {settings.quick_gelu}"
        )
