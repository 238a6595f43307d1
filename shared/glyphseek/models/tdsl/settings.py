"""The numbers of a TDSL model and the presets that ship."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal, cast

from glyphseek.errors import CheckpointDamaged, ModelNotFound, SettingError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
"""The characters the model tells apart; the CTC blank comes after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TdslSettings:
    """Sizes of the network and of its input; every field changes the meaning of the weights.

    Lengths are pixels of the image after `longer_side` was applied, unless a field says otherwise.
    """

    name: str
    backbone: Literal["resnet50", "small"]
    """`resnet50` has frozen batch norm; `small` is a plain residual network for a laptop's CPU."""
    backbone_channels: tuple[int, ...]
    """Channels at strides 4, 8, 16 and 32."""
    pyramid_width: int
    pyramid_first_stride: Literal[4, 8]
    """4 when words are pooled from the pyramid, 8 when only the detector reads it."""
    tower_depth: int
    """Convolutions shared by the three detector heads."""
    level_limits: tuple[int, ...]
    """Largest distance from a location to a side of its box, for each detector level but the last."""
    longer_side: int
    """The image is shrunk to this longer side; smaller images are left as they are. A larger one of
    `extra_longer_sides` is for the detector alone."""
    detector_longer_side: int
    """The detector reads the image shrunk again to this longer side."""
    roi_source: Literal["pyramid", "image"]
    """Where RoIAlign reads: the feature pyramid as in the paper, or the image itself at full resolution."""
    roi_rows: int
    roi_columns: int
    roi_margin: float
    """A box is widened by this share of its height on every side before pooling."""
    stem_channels: tuple[int, ...]
    """Residual stages (stride 2 each) between an image RoI and the sequence module; empty for a pyramid RoI."""
    sequence_width: int
    """Channels of the two convolutions of the image sequence module."""
    lstm_width: int
    """Hidden units per direction of each LSTM."""
    character_width: int
    steps: int
    """T: steps of a word's embedding."""
    step_width: int
    """C: numbers per step; the stored vector has T * C of them."""
    sequence_blocks: int = 0
    """Residual blocks after each of the two convolutions of the image sequence module; the paper has none."""
    reads_twice: bool = False
    """Whether a second BiLSTM reads what the first one of the image sequence module did; the paper has one."""
    score_threshold: float = 0.2
    """Detections below this confidence are not stored."""
    nms_iou: float = 0.6
    score_by_centredness: bool = False
    """Whether a detection's score is the geometric mean of text probability and centre-ness, as FCOS has it; the paper
    uses the text probability alone."""
    max_instances: int = 100
    """Words of a photo that are stored at most, those of the highest scores."""
    max_query_characters: int = 40
    extra_longer_sides: tuple[int, ...] = ()
    """The detector reads the image at these longer sides too, smaller or larger than its own, where that is another
    picture, and what it finds is merged: letters that fill the photo are words of the usual size in a small one, and
    tiny ones in a large one."""
    keeps_letters: bool = False
    """Whether the letters that CTC reads in each column of a word are stored, and images matched by them. The paper
    trains CTC as an auxiliary task and matches by vectors alone."""
    least_reading: float | None = None
    """Of a box, the logarithm of the detector's score times the probability of the surest way to read its letters:
    below this, and where nothing is read, the box is taken for clutter and not stored. None stores all."""
    roi_sampling: Literal["align", "halved"] = "align"
    """How an image RoI is sampled: by RoIAlign with as many samples a cell as it has pixels, or once a cell from the
    image halved until a cell is a pixel, which is two to six times faster (`pooling`). A second look always does."""
    refiner_channels: tuple[int, ...] = ()
    """Residual stages (stride 2 each) of a second look at every box; empty where the detector's word is final."""
    max_candidates: int = 0
    """Boxes of a photo that are looked at a second time at most; never fewer than may be stored."""
    refiner_rows: int = 32
    refiner_columns: int = 96
    """Pixels that a box is looked at with, its surroundings included."""
    tells_outlines: bool = False
    """Whether the second look tells how a word runs in its box too, so that one on an arc or a slope is read level."""
    outline_margin: float = 0.1
    """As `roi_margin`, of words that are read along their outlines: a share of the distance of their edges."""
    refined_threshold: float = 0.0
    """As `score_threshold`, for boxes that were looked at again: their score is lower, see `reading.refine`."""
    refined_nms_iou: float = 0.7
    """As `nms_iou`, for boxes that were looked at again."""
    shrinks_by: Literal["area", "linear"] = "area"
    """How a photo is shrunk to `prepared_longer_side`: by area averaging, or, where it becomes no smaller than half,
    from the four pixels around each place, which is ten times faster and reads every pixel too."""
    box_weight: float = 2.0
    """Weight of the boxes' loss in training. The paper has 1; reading from the image needs tight boxes."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        if self.roi_source == "pyramid" and (self.stem_channels or self.pyramid_first_stride != 4):
            raise SettingError("roi_source 'pyramid' needs an empty stem and a pyramid from stride 4")
        if self.refiner_channels and self.roi_source != "image":
            raise SettingError("a second look at boxes is taken at the image: refiner_channels need roi_source 'image'")
        if self.tells_outlines and not (self.refiner_channels and self.roi_sampling == "halved"):
            raise SettingError("a second look tells outlines: they need refiner_channels, and roi_sampling 'halved'")
        if self.roi_columns % (2 ** len(self.stem_channels)) or self.sequence_columns % self.steps:
            raise SettingError(f"{self.steps} steps do not divide the {self.sequence_columns} columns of a RoI")
        if min((self.longer_side, self.detector_longer_side, *self.extra_longer_sides)) < 1:
            raise SettingError("longer sides are pixels: 1 or more")

    @property
    def prepared_longer_side(self) -> int:
        """The most pixels of a longer side that anything of the model reads: what photos are shrunk to."""
        return max((self.longer_side, *self.extra_longer_sides))

    @property
    def most_detected(self) -> int:
        """Boxes that the detector's part ends with at most."""
        return max(self.max_instances, self.max_candidates if self.refiner_channels else 0)

    @property
    def sequence_columns(self) -> int:
        """Columns of a RoI after the stem: the length of the sequence that CTC reads."""
        return self.roi_columns // 2 ** len(self.stem_channels)

    @property
    def vector_width(self) -> int:
        """D = T * C."""
        return self.steps * self.step_width


PAPER = TdslSettings(
    name="tdsl-r50",
    backbone="resnet50",
    backbone_channels=(256, 512, 1024, 2048),
    pyramid_width=256,
    pyramid_first_stride=4,
    tower_depth=4,
    level_limits=(64, 128, 256, 512),
    longer_side=1280,
    detector_longer_side=1280,
    roi_source="pyramid",
    roi_rows=4,
    roi_columns=15,
    roi_margin=0.0,
    stem_channels=(),
    sequence_width=256,
    lstm_width=256,
    character_width=256,
    steps=15,
    step_width=128,
    box_weight=1.0,
)
"""The paper's network: ResNet-50, 1280 px, 15 x 128 numbers a word. What departs from the paper is in
docs/models/tdsl-r50."""

PAPER_MULTI_SCALE = replace(PAPER, name="tdsl-r50-ms", extra_longer_sides=(960, 1600))
"""The same weights at the paper's three sizes: package a run of `tdsl-r50` with this preset."""

SMALL = TdslSettings(
    name="tdsl-small",
    backbone="small",
    backbone_channels=(32, 64, 128, 192),
    pyramid_width=64,
    pyramid_first_stride=8,
    tower_depth=2,
    level_limits=(64, 128, 256),
    longer_side=1024,
    detector_longer_side=1024,
    roi_source="image",
    roi_rows=40,
    roi_columns=128,
    roi_margin=0.05,
    stem_channels=(32, 64),
    sequence_width=128,
    lstm_width=128,
    character_width=128,
    steps=16,
    step_width=48,
    sequence_blocks=2,
    reads_twice=True,
    score_by_centredness=True,
    score_threshold=0.2,
    nms_iou=0.7,
    extra_longer_sides=(448,),
    keeps_letters=True,
    least_reading=-10.0,
    roi_sampling="halved",
    refiner_channels=(24, 48, 64),
    tells_outlines=True,
    max_candidates=200,
    refined_threshold=0.13,
    refined_nms_iou=0.75,
    shrinks_by="linear",
)
"""For a laptop's CPU: a small detector and words read from the image, both at 1024 px; 16 x 48 numbers a word. What
the second size gives and costs is in docs/decisions/0010, what letters do in 0015, and a second look in 0017."""

TINY_PYRAMID = TdslSettings(
    name="tdsl-tiny",
    backbone="small",
    backbone_channels=(8, 16, 16, 16),
    pyramid_width=16,
    pyramid_first_stride=4,
    tower_depth=1,
    level_limits=(64, 128, 256),
    longer_side=256,
    detector_longer_side=256,
    roi_source="pyramid",
    roi_rows=4,
    roi_columns=15,
    roi_margin=0.0,
    stem_channels=(),
    sequence_width=16,
    lstm_width=16,
    character_width=16,
    steps=15,
    step_width=8,
)
"""The paper's wiring at toy size, for tests and for trying a change in seconds."""

PRESETS = {preset.name: preset for preset in (PAPER, PAPER_MULTI_SCALE, SMALL, TINY_PYRAMID)}


def find_preset(name: str) -> TdslSettings:
    """Return the preset of that name. Raises ModelNotFound, which lists the known names."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ModelNotFound(f"no preset {name!r}; known: {', '.join(PRESETS)}") from None


def restore_settings(values: dict[str, object]) -> TdslSettings:
    """Return the settings written in a manifest (JSON turns tuples into lists). Raises CheckpointDamaged.

    Settings with a default may be absent: manifests are older than the latest of them.
    """
    known = {field.name for field in fields(TdslSettings)}
    needed = {field.name for field in fields(TdslSettings) if field.default is MISSING}
    if not needed <= values.keys() <= known:
        raise CheckpointDamaged(
            f"a manifest's preset must have {sorted(needed)} and may have {sorted(known - needed)}; "
            f"it has {sorted(values)}"
        )
    restored: dict[str, Any] = {
        name: tuple(cast("list[object]", value)) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        return TdslSettings(**restored)
    except (TypeError, SettingError) as error:
        raise CheckpointDamaged(f"a manifest's preset cannot be built: {error}") from error
