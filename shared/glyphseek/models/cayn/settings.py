"""The numbers and choices of a CAYN model, and the presets.

The paper's main text fixes fewer things than a program needs. Every point left open is a field here, with the value
that METHODS recommends as its default, so that each can be ablated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, cast, get_args

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError
from glyphseek.models.cayn.dense.settings import ALPHABET, DenseSettings
from glyphseek.models.cayn.dense.settings import SMALL as DENSE_SMALL
from glyphseek.models.cayn.dense.settings import TINY as DENSE_TINY
from glyphseek.models.cayn.regions.settings import SMALL as REGIONS_SMALL
from glyphseek.models.cayn.regions.settings import TINY as REGIONS_TINY
from glyphseek.models.cayn.regions.settings import RegionSettings
from glyphseek.models.clip.settings import CLIP_SETTINGS, Architecture, ClipSettings
from glyphseek.models.tdsl.settings import TdslSettings
from glyphseek.models.tdsl.settings import restore_settings as restore_tdsl
from glyphseek.types import Fusion

VpaPlace = Literal["tokens", "local", "off"]
VpaForm = Literal["add", "scale"]
Directions = Literal["both", "text"]
TextQuery = Literal["global", "tokens"]
HeadInput = Literal["product", "found"]
HeadKind = Literal["product", "found", "none"]
Sampling = Literal["hem", "uniform"]
SeveralWords = Literal["mean", "whole"]
CHOICES: dict[str, tuple[str, ...]] = {
    "vpa": get_args(VpaPlace),
    "vpa_form": get_args(VpaForm),
    "directions": get_args(Directions),
    "text_query": get_args(TextQuery),
    "head": get_args(HeadKind),
    "several_words": get_args(SeveralWords),
}
"""What the settings that name a choice may be."""


def check_choices(settings: object, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Raise SettingError for a field that is none of its choices; types do not check what JSON and users say."""
    for name, known in choices.items():
        if getattr(settings, name) not in known:
            raise SettingError(f"{name} is {getattr(settings, name)!r}; known: {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaynSettings:
    """Everything that, with the weights, decides what a CAYN model stores and answers.

    The backbone is one of `clip`, `regions` and `dense`. Raises SettingError for what cannot be built.
    """

    name: str
    clip: ClipSettings | None = None
    """A published CLIP and how it is read: input size, tiles of a ViT, path of its local tokens."""
    regions: RegionSettings | None = None
    """A small CLIP of this project, from random weights: its tokens are words that its trunk found and read."""
    dense: DenseSettings | None = None
    """Another one: its tokens are places, read in one pass over an image pyramid."""
    vpa: VpaPlace = "tokens"
    """Where the position adapter stands: on the tokens right before the attention pool (the paper's), on the local
    tokens after it, or nowhere."""
    vpa_reduction: int = 64
    """C / r channels inside the adapter: r is 64 for the published convolutional sizes, 8 for ViT-B."""
    vpa_form: VpaForm = "add"
    """Whether the adapter's row and column terms are added to a token or scale its channels."""
    directions: Directions = "both"
    """Who attends: text over image tokens and the image over text tokens, or `text` alone."""
    text_query: TextQuery = "global"
    """What attends over image tokens: the text's global vector, or each of its tokens, attention averaged."""
    head: HeadKind = "product"
    """What the linear classifier reads: the product of what was found and what was asked, or what was found alone.
    With `none` nothing is trained: the score is the softmax-pooled cosine."""
    normalised_tokens: bool = True
    """Whether local tokens, of images and texts, have unit norm as keys and values (and where they are stored)."""
    attention_scale: float | None = None
    """1 / tau of the cross attention; None is the backbone's own exp(logit_scale)."""
    fusion: Fusion = Fusion.SUM
    """The order of the reranked: by cosine plus match probability, or by the probability alone."""
    several_words: SeveralWords = "mean"
    """A query of several words: the mean of the scores of its words (published protocol), or read as one text."""
    prompt: str = "{}"
    """How a word is shown to the text tower; `{}` is the word. The paper states none."""
    max_query_characters: int = 32
    """Characters of one text that is asked. Presets over a published CLIP take what its text tower surely reads."""
    alphabet: str = ALPHABET

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        check_choices(self, CHOICES)
        if sum(part is not None for part in (self.clip, self.regions, self.dense)) != 1:
            raise SettingError("a CAYN model has one backbone: settings for `clip`, `regions` or `dense`")
        if self.prompt.count("{}") != 1:
            raise SettingError(f"prompt {self.prompt!r} needs one {{}} where the word stands")
        if self.attention_scale is not None and self.attention_scale <= 0:
            raise SettingError(f"attention_scale is {self.attention_scale}, it must be above 0")
        if self.vpa_reduction < 1:
            raise SettingError(f"vpa_reduction is {self.vpa_reduction}, it must be 1 or more")

    @property
    def longer_side(self) -> int:
        """Return the pixels of the longer side at which images are read; smaller images are left as they are."""
        return self.backbone.longer_side

    @property
    def backbone(self) -> ClipSettings | RegionSettings | DenseSettings:
        """Return the settings of the one backbone there is."""
        part = self.clip or self.regions or self.dense
        if part is None:
            raise SettingError(f"preset {self.name!r} has no backbone")
        return part

    @property
    def findings(self) -> int:
        """Return how many findings the head reads: one from each direction."""
        return 2 if self.directions == "both" else 1

    @property
    def head_input(self) -> HeadInput | None:
        """Return what the head reads of a finding; None without a head."""
        return None if self.head == "none" else self.head


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """The training objective: L_ITC + itm_weight * L_ITM."""

    itm_weight: float = 1.0
    """lambda. Between 0.5 and 4 the paper's results move by half a point of mAP."""
    itm_nlc: bool = True
    """Whether a word that does occur in an image can never be drawn as its negative."""
    itc_nlc: bool = False
    """Whether such pairs are left out of the contrastive loss too; the paper keeps them, as harder negatives."""
    sampling: Sampling = "hem"
    """Negatives drawn by how alike the model finds them, or uniformly (US in the paper's ablation)."""

    def __post_init__(self) -> None:
        """Refuse what is no objective."""
        check_choices(self, {"sampling": get_args(Sampling)})
        if self.itm_weight < 0:
            raise SettingError(f"itm_weight is {self.itm_weight}, it must be 0 or more")


def over_clip(name: str, architecture: Architecture, *, vpa_reduction: int = 64) -> CaynSettings:
    """Return the preset over a published CLIP, which may be asked for all that its text tower surely reads."""
    clip = CLIP_SETTINGS[architecture]
    return CaynSettings(
        name=name, clip=clip, vpa_reduction=vpa_reduction, max_query_characters=clip.facts.most_characters
    )


RN50 = over_clip("cayn-rn50", "RN50")
"""The paper's smallest: 20 x 20 tokens of 1024 numbers."""

RN50X4 = over_clip("cayn-rn50x4", "RN50x4")
"""20 x 20 tokens of 640 numbers."""

RN50X16 = over_clip("cayn-rn50x16", "RN50x16")
"""The paper's best: 20 x 20 tokens of 768 numbers; its variant at 768 px reranks 96 images."""

VIT_B_16 = over_clip("cayn-vit-b-16", "ViT-B-16", vpa_reduction=8)
"""Two by two tiles, tokens of 512 numbers."""

SIGLIP_B_512 = over_clip("cayn-siglip-b-512", "ViT-B-16-SigLIP-512", vpa_reduction=8)
"""SigLIP at its own 512 px: 32 x 32 tokens of 768 numbers."""

SMALL = CaynSettings(
    name="cayn-small",
    regions=REGIONS_SMALL,
    vpa_reduction=64,
    vpa_form="scale",
    max_query_characters=REGIONS_SMALL.reader.max_query_characters,
)
"""For a laptop's CPU, trained from random weights on rendered scenes. A cell without a word is zero and stays so, hence
the scaling adapter."""

TINY = CaynSettings(
    name="cayn-tiny",
    regions=REGIONS_TINY,
    vpa_reduction=4,
    vpa_form="scale",
    max_query_characters=REGIONS_TINY.reader.max_query_characters,
)
"""The same wiring at toy size, for tests and for trying a change in seconds."""

DENSE = CaynSettings(
    name="cayn-dense", dense=DENSE_SMALL, vpa_reduction=16, max_query_characters=DENSE_SMALL.max_characters
)
"""One pass, no boxes at inference; learns reading much more slowly than `cayn-small`, see docs/decisions."""

TINY_DENSE = CaynSettings(
    name="cayn-tiny-dense", dense=DENSE_TINY, vpa_reduction=4, max_query_characters=DENSE_TINY.max_characters
)
"""The dense wiring at toy size, for tests."""

PRESETS = {
    preset.name: preset for preset in (RN50, RN50X4, RN50X16, VIT_B_16, SIGLIP_B_512, SMALL, TINY, DENSE, TINY_DENSE)
}


def find_preset(name: str) -> CaynSettings:
    """Return the preset of that name. Raises ModelNotFound, which lists the known names."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ModelNotFound(f"no preset {name!r}; known: {', '.join(PRESETS)}") from None


def restore_settings(values: dict[str, object]) -> CaynSettings:
    """Return the settings written in a manifest (JSON turns tuples into lists). Raises CheckpointDamaged."""
    known = {field.name for field in fields(CaynSettings)}
    if values.keys() != known:
        raise CheckpointDamaged(f"a manifest's preset must have exactly {sorted(known)}; it has {sorted(values)}")
    try:
        restored: dict[str, Any] = values | {
            "fusion": Fusion(str(values["fusion"])),
            "clip": restore_part(ClipSettings, values["clip"]),
            "regions": restore_regions(values["regions"]),
            "dense": restore_part(DenseSettings, values["dense"]),
        }
        return CaynSettings(**restored)
    except (TypeError, ValueError, SettingError) as error:
        raise CheckpointDamaged(f"a manifest's preset cannot be built: {error}") from error


def restore_regions(values: object) -> RegionSettings | None:
    """Return the settings of word regions written in a manifest; None for none. Raises as `restore_part` does."""
    if not isinstance(values, dict):
        return restore_part(RegionSettings, values)
    told = cast("dict[str, Any]", values)
    return restore_part(RegionSettings, told | {"reader": restore_reader(told.get("reader"))})


def restore_reader(values: object) -> TdslSettings:
    """Return a trunk's settings. Raises TypeError, or CheckpointDamaged."""
    if not isinstance(values, dict):
        raise TypeError(f"a trunk cannot be read from {values!r}")
    return restore_tdsl(cast("dict[str, object]", values))


Part = TypeVar("Part", ClipSettings, RegionSettings, DenseSettings)


def restore_part(kind: type[Part], values: object) -> Part | None:
    """Return the backbone's settings written in a manifest; None for none. Raises TypeError or SettingError."""
    if values is None:
        return None
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} cannot be read from {values!r}")
    restored: dict[str, Any] = {
        name: tuple(cast("list[int]", value)) if isinstance(value, list) else value
        for name, value in cast("dict[str, object]", values).items()
    }
    return kind(**restored)
