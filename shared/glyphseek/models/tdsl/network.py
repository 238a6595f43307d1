"""The TDSL network: detector, RoI pooling and the two sequence modules, put together.

Boxes are left, top, right, bottom in pixels of the image given, which is float RGB in [0, 255], (3, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import MultiScaleRoIAlign, roi_align

from glyphseek.models.tdsl.backbone import Pyramid
from glyphseek.models.tdsl.detector import DetectorOutput, FcosHead
from glyphseek.models.tdsl.outlines import bounds, grown
from glyphseek.models.tdsl.pooling import sample_boxes, sample_outlines
from glyphseek.models.tdsl.refining import BoxRefiner
from glyphseek.models.tdsl.sequences import ImageSequence, TextSequence
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
DIVISOR = 32
"""The detector's input is padded to a multiple of this, the coarsest trunk stride."""


class Tdsl(nn.Module):
    """All weights of the method; the parts can be trained apart and are used together by `encoder`."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        self.settings = settings
        self.pyramid = Pyramid(settings)
        self.detector = FcosHead(settings.pyramid_width, settings.tower_depth)
        self.image_sequence = ImageSequence(settings)
        self.text_sequence = TextSequence(settings)
        self.refiner = BoxRefiner(settings) if settings.refiner_channels else None
        self.ctc = nn.Linear(settings.step_width, len(ALPHABET) + 1)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return RGB pixels of [0, 255] as the networks read them."""
        return (pixels.float() - self.get_buffer("mean")) / self.get_buffer("std")

    def levels(self, normalized_B3HW: Tensor) -> dict[int, Tensor]:
        """Return the pyramid of images whose sides divide by `DIVISOR`."""
        return self.pyramid(normalized_B3HW.contiguous(memory_format=torch.channels_last))

    def detect(self, levels: dict[int, Tensor]) -> DetectorOutput:
        """Return the detector's raw answers over the levels of stride 8 and coarser."""
        return self.detector({stride: level for stride, level in levels.items() if stride >= 8})

    def convolutional_parts(self) -> tuple[nn.Module, ...]:
        """Return the modules in which nearly all arithmetic happens: what is worth compiling."""
        refiner = () if self.refiner is None else (self.refiner.stages,)
        return (
            self.pyramid, self.detector.tower, self.image_sequence.stem, self.image_sequence.convolutions, *refiner,
        )  # fmt: skip

    def recurrent_parts(self) -> tuple[nn.Module, ...]:
        """Return the modules that read columns one after the other: in bfloat16 three times as fast."""
        again = self.image_sequence.again
        return (self.image_sequence.lstm, *(() if again is None else (again.lstm,)))

    def pool_words(self, normalized_3HW: Tensor, levels: dict[int, Tensor], image: int, boxes_N4: Tensor) -> Tensor:
        """Return the RoIs (N, channels, rows, columns) of one image's boxes, from the image or from the pyramid.

        `levels` and `boxes_N4` belong to the image at the size it is given here.
        """
        settings = self.settings
        size = (settings.roi_rows, settings.roi_columns)
        boxes = widen(boxes_N4, settings.roi_margin)
        if settings.roi_source == "image":
            if settings.roi_sampling == "halved":
                return sample_boxes(normalized_3HW, boxes, size)
            return roi_align(normalized_3HW[None], [boxes], size, sampling_ratio=-1, aligned=True)
        pooler = MultiScaleRoIAlign(["4", "8", "16"], list(size), sampling_ratio=1)
        maps = {str(stride): levels[stride][image : image + 1] for stride in (4, 8, 16)}
        return pooler(maps, [boxes], [(int(normalized_3HW.shape[1]), int(normalized_3HW.shape[2]))])

    def pool_outlined(self, normalized_3HW: Tensor, outlines_N62: Tensor) -> Tensor:
        """Return the RoIs (N, 3, rows, columns) of words of one image, made level along outlines in its pixels."""
        settings = self.settings
        if settings.roi_sampling == "align":
            return self.pool_words(normalized_3HW, {}, 0, bounds(outlines_N62))
        size = (settings.roi_rows, settings.roi_columns)
        margin = settings.outline_margin if settings.tells_outlines else settings.roi_margin
        return sample_outlines(normalized_3HW, grown(outlines_N62, margin), size)


def widen(boxes_N4: Tensor, margin: float) -> Tensor:
    """Return the boxes grown on every side by `margin` times their height."""
    grow = (boxes_N4[:, 3] - boxes_N4[:, 1]) * margin
    return boxes_N4 + torch.stack([-grow, -grow, grow, grow], 1)


def shrink(image_3HW: Tensor, scale: float) -> Tensor:
    """Return the image scaled down with antialiasing; `scale` 1 returns it as it is."""
    if scale >= 1:
        return image_3HW
    height, width = image_3HW.shape[-2:]
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return functional.interpolate(image_3HW[None], size=size, mode="bilinear", antialias=True)[0]


def pad_to_divisor(image_3HW: Tensor) -> Tensor:
    """Return the image padded at the right and bottom with zeros until both sides divide by `DIVISOR`."""
    height, width = image_3HW.shape[-2:]
    return functional.pad(image_3HW, (0, -width % DIVISOR, 0, -height % DIVISOR))
