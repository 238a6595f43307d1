"""Image to feature pyramid."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from glyphseek.models.tdsl.settings import TdslSettings


def conv_norm_relu(inputs: int, outputs: int, *, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Return a 3x3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity; shape is kept.

    `identity`: what is added begins as nothing, so that the block changes no features that are nowhere negative.
    """

    def __init__(self, channels: int, *, identity: bool = False) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        norm = nn.BatchNorm2d(channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), norm)
        if identity:
            nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + f(x))."""
        return torch.relu(x + self.second(self.first(x)))


def residual_stage(inputs: int, outputs: int) -> nn.Sequential:
    """Return a stage that halves height and width."""
    return nn.Sequential(conv_norm_relu(inputs, outputs, stride=2), ResidualBlock(outputs))


class SmallTrunk(nn.Module):
    """A residual network of one block per stage; gives maps at strides 4, 8, 16 and 32."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = conv_norm_relu(3, channels[0] // 2, stride=2)
        inputs = (channels[0] // 2, *channels)
        self.stages = nn.ModuleList(residual_stage(inputs[i], inputs[i + 1]) for i in range(4))

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the four maps by their stride, finest first."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        x = self.stem(images)
        for stride, stage in zip((4, 8, 16, 32), self.stages, strict=True):
            maps[str(stride)] = x = stage(x)
        return maps


def build_trunk(settings: TdslSettings) -> nn.Module:
    """Return a trunk from random weights that gives maps at strides 4, 8, 16 and 32."""
    if settings.backbone == "small":
        return SmallTrunk(settings.backbone_channels)
    network = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    return IntermediateLayerGetter(network, {"layer1": "4", "layer2": "8", "layer3": "16", "layer4": "32"})


class CoarserLevels(ExtraFPNBlock):
    """Adds levels of stride 64, 128, ... from the coarsest one by stride-2 convolutions (P6 and P7 of the paper)."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(count))

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append the coarser maps to `results` and their names to `names`."""
        results, names = list(results), list(names)
        for i, convolution in enumerate(self.convolutions):
            results.append(convolution(torch.relu(results[-1]) if i else results[-1]))
            names.append(str(2 * int(names[-1])))
        return results, names


class Pyramid(nn.Module):
    """Trunk and FPN. Maps are named by stride; the detector reads from 8 on, RoIAlign up to 16."""

    def __init__(self, settings: TdslSettings) -> None:
        super().__init__()
        self.trunk = build_trunk(settings)
        self.strides = tuple(s for s in (4, 8, 16, 32) if s >= settings.pyramid_first_stride)
        channels = [c for s, c in zip((4, 8, 16, 32), settings.backbone_channels, strict=True) if s in self.strides]
        extra = len(settings.level_limits) + 1 - 3
        self.fpn = FeaturePyramidNetwork(
            channels, settings.pyramid_width, extra_blocks=CoarserLevels(settings.pyramid_width, extra)
        )

    def forward(self, images_B3HW: Tensor) -> dict[int, Tensor]:
        """Return {stride: (B, width, H / stride, W / stride)}, finest first. H and W must divide by 32."""
        maps = self.trunk(images_B3HW)
        levels = self.fpn(OrderedDict((str(s), maps[str(s)]) for s in self.strides))
        return {int(name): level for name, level in levels.items()}
