"""Tokens of a frozen backbone, computed once for each photo and kept on disk.

<folder>/<hash of the backbone>/<aa>/<hash of the photo>.safetensors   tokens (H, W, C) fp16, content (2,) rows, columns

With the trunk frozen and before the adapter, tokens never change: an epoch reads them instead of running the trunk.
RN50 at 640 px takes 1.6 MB a photo.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glyphseek.models.cayn.encoder import content_size, shrink
from glyphseek.models.cayn.letterbox import letterbox
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.checkpoint import hash_file
from glyphseek.training.annotated import read_pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTokens:
    """One photo after the backbone's trunk: tokens_HWC fp16 on the CPU; rows and columns of them are not padding."""

    tokens_HWC: Tensor
    rows: int
    columns: int


class TokenCache:
    """Reads the tokens of photos, running the trunk for those that are not in the folder yet."""

    def __init__(self, folder: Path, network: Cayn) -> None:
        self._network = network
        self._folder = folder / hash_backbone(network)
        self._places: dict[Path, Path] = {}

    def read(self, photo: Path) -> PhotoTokens:
        """Return the photo's tokens. Raises ImageUnreadable. A file that a crash left unreadable is written anew."""
        place = self._place(photo)
        try:
            held = load_file(place)
        except (OSError, SafetensorError):
            held = self._compute(photo)
            write_atomically(place, held)
        rows, columns = held["content"].tolist()
        return PhotoTokens(tokens_HWC=held["tokens"], rows=rows, columns=columns)

    def _place(self, photo: Path) -> Path:
        if photo not in self._places:
            name = hash_file(photo)
            self._places[photo] = self._folder / name[:2] / f"{name}.safetensors"
        return self._places[photo]

    def _compute(self, photo: Path) -> dict[str, Tensor]:
        backbone = self._network.backbone
        image = shrink(read_pixels(photo), self._network.settings.longer_side, backbone.stride)
        pixels, is_padding = letterbox([image], multiple=backbone.pixel_multiple)
        device = backbone.logit_scale.device
        with torch.inference_mode():
            tokens_BHWC, is_padding_BHW = backbone.image_tokens(pixels.to(device), is_padding.to(device))
        return {
            "tokens": tokens_BHWC[0].half().cpu().contiguous(),
            "content": torch.tensor(content_size(is_padding_BHW[0])),
        }


def stack_tokens(photos: Sequence[PhotoTokens]) -> tuple[Tensor, Tensor]:
    """Return tokens_BHWC float32 and is_padding_BHW of photos on the smallest grid that holds them all."""
    height = max(photo.tokens_HWC.shape[0] for photo in photos)
    width = max(photo.tokens_HWC.shape[1] for photo in photos)
    tokens_BHWC = torch.zeros(len(photos), height, width, photos[0].tokens_HWC.shape[2])
    is_padding_BHW = torch.ones(len(photos), height, width, dtype=torch.bool)
    for index, photo in enumerate(photos):
        rows, columns = photo.tokens_HWC.shape[:2]
        tokens_BHWC[index, :rows, :columns] = photo.tokens_HWC.float()
        is_padding_BHW[index, : photo.rows, : photo.columns] = False
    return tokens_BHWC, is_padding_BHW


def hash_backbone(network: Cayn) -> str:
    """Return 16 hex digits of the backbone's settings and weights: tokens of two backbones never mix.

    Attention that is yet to be trained comes after the tokens, and starts anew with every seed: it does not count.
    """
    settings, attention = network.settings, network.backbone.trainable_attention()
    later = [f"{name}." for name, module in network.backbone.named_modules() if module is attention]
    told = [type(settings.backbone).__name__, asdict(settings.backbone)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, value in sorted(network.backbone.state_dict().items()):
        if name.startswith(tuple(later)):
            continue
        digest.update(name.encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_atomically(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half_done = path.with_suffix(f".{os.getpid()}")
    save_file(tensors, half_done)
    half_done.replace(path)
