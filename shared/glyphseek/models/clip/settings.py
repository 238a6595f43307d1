"""The CLIP networks that are known here, and how each is read at high resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glyphseek.errors import SettingError

Architecture = Literal["RN50", "RN50x4", "RN50x16", "ViT-B-16", "ViT-B-16-SigLIP-512"]
LocalPath = Literal["value", "residual", "block"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
SIGLIP_MEAN = SIGLIP_DEVIATION = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureFacts:
    """What an architecture is, whatever its weights: C, E, pixels along a side it was trained at, pixels of a token.

    `mean` and `deviation` normalise RGB in [0, 1]. `is_resnet` says that tokens come from a convolutional trunk.
    `most_characters` is the longest text of a-z, 0-9 and spaces that surely fits the text tower, however it is cut: a
    character is one token at most, CLIP adds start and end to make 77, SigLIP a word's start and the end to make 64.
    """

    token_width: int
    joint_width: int
    native_side: int
    stride: int
    mean: tuple[float, float, float] = CLIP_MEAN
    deviation: tuple[float, float, float] = CLIP_DEVIATION
    is_resnet: bool = False
    most_characters: int = 75


ARCHITECTURES: dict[Architecture, ArchitectureFacts] = {
    "RN50": ArchitectureFacts(token_width=2048, joint_width=1024, native_side=224, stride=32, is_resnet=True),
    "RN50x4": ArchitectureFacts(token_width=2560, joint_width=640, native_side=288, stride=32, is_resnet=True),
    "RN50x16": ArchitectureFacts(token_width=3072, joint_width=768, native_side=384, stride=32, is_resnet=True),
    "ViT-B-16": ArchitectureFacts(token_width=768, joint_width=512, native_side=224, stride=16),
    "ViT-B-16-SigLIP-512": ArchitectureFacts(
        token_width=768,
        joint_width=768,
        native_side=512,
        stride=16,
        mean=SIGLIP_MEAN,
        deviation=SIGLIP_DEVIATION,
        most_characters=62,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """How one CLIP network is read. Raises SettingError for a value outside its range.

    The paper names no input size but 768 (a variant of RN50x16) and does not say how the ViT's splits are merged or
    what its local tokens pass through: `longer_side`, `tiles` and `local_path` are choices to be compared.
    """

    architecture: Architecture
    """open_clip's name of the network."""
    longer_side: int = 640
    """Pixels along the longer side of an image, a multiple of the stride. 640 fits the paper's speeds best."""
    tiles: int = 1
    """The token grid is cut in so many parts along each side, encoded on their own; 2 is the paper's for ViT. The
    image's vector is the mean of the parts' vectors, its local tokens are those of the parts side by side."""
    local_path: LocalPath = "value"
    """What a local token passes on its way to the joint space, when its attention row is a one-hot on itself.
    `value`: the value and output projection only. `residual`: also the addition of the layer's input (ViT only).
    `block`: also the MLP after it, thus all that the pooled token passes. ResNets have neither: `value` only."""
    quick_gelu: bool = True
    """The activation that OpenAI's weights were trained with, in every MLP; other weights may want plain GELU."""

    def __post_init__(self) -> None:
        facts = ARCHITECTURES.get(self.architecture)
        if facts is None:
            raise SettingError(f"architecture is {self.architecture!r}; known: {', '.join(ARCHITECTURES)}")
        if self.longer_side < facts.stride or self.longer_side % facts.stride:
            raise SettingError(f"longer_side is {self.longer_side}; it must be a multiple of {facts.stride} pixels")
        if not 1 <= self.tiles <= 4:
            raise SettingError(f"tiles is {self.tiles}; it must be 1 to 4")
        if self.local_path not in self.local_paths:
            raise SettingError(
                f"local_path is {self.local_path!r}; {self.architecture} knows {', '.join(self.local_paths)}"
            )

    @property
    def facts(self) -> ArchitectureFacts:
        """Return what the architecture is."""
        return ARCHITECTURES[self.architecture]

    @property
    def local_paths(self) -> tuple[LocalPath, ...]:
        """Return the values of `local_path` that this architecture has the layers for."""
        if self.facts.is_resnet:
            return ("value",)
        return ("value", "block") if "SigLIP" in self.architecture else ("value", "residual", "block")


CLIP_SETTINGS: dict[Architecture, ClipSettings] = {
    "RN50": ClipSettings(architecture="RN50"),
    "RN50x4": ClipSettings(architecture="RN50x4"),
    "RN50x16": ClipSettings(architecture="RN50x16"),
    "ViT-B-16": ClipSettings(architecture="ViT-B-16", tiles=2),
    "ViT-B-16-SigLIP-512": ClipSettings(architecture="ViT-B-16-SigLIP-512", longer_side=512, quick_gelu=False),
}
"""The recommended settings of each architecture."""
