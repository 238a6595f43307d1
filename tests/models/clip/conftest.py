"""Networks with random weights: tiny ones of each kind, and the real architectures one at a time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import torch
from models.clip.toy_tokenizer import write_tokenizer
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.modified_resnet import AttentionPool2d, ModifiedResNet
from open_clip.transformer import TextTransformer
from timm.layers.attention import Attention
from timm.layers.attention_pool import AttentionPoolLatent
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import nn

from glyphseek.models.clip.building import create_clip, take_apart
from glyphseek.models.clip.resnet import ResNetBackbone
from glyphseek.models.clip.settings import ARCHITECTURES, CLIP_SETTINGS, Architecture
from glyphseek.models.clip.siglip import SiglipBackbone
from glyphseek.models.clip.text import SiglipTextTower
from glyphseek.models.clip.tower import ClipBackbone
from glyphseek.models.clip.vit import VitBackbone

TINY_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}


@torch.no_grad()
def enliven(network: nn.Module, *, sharpness: float = 4.0) -> None:
    """Give a fresh network the sensitivity of a trained one, so that its vectors depend on what and where things are.

    Norms get random weights, batch norms the statistics of a picture; queries and what attention adds are stretched:
    fresh attention is all but uniform and without effect, which would hide every mistake in positions and masks.
    """
    generator = torch.Generator().manual_seed(0)
    trunks: list[ModifiedResNet] = []
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            part.weight.copy_(torch.rand(part.weight.shape, generator=generator) + 0.5)
            part.bias.copy_(torch.randn(part.bias.shape, generator=generator) * 0.1)
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
        if isinstance(part, nn.MultiheadAttention):
            part.in_proj_weight[: part.embed_dim].mul_(sharpness)
            part.out_proj.weight.mul_(sharpness)
        if isinstance(part, AttentionPool2d):
            part.q_proj.weight.mul_(sharpness)
        if isinstance(part, Attention):
            part.qkv.weight[: part.attn_dim].mul_(sharpness)
        if isinstance(part, AttentionPoolLatent):
            cast(nn.Linear, part.q).weight.mul_(sharpness)
            part.latent.mul_(sharpness)
        if isinstance(part, nn.Embedding):
            part.weight.mul_(25)
        if isinstance(part, ModifiedResNet):
            trunks.append(part)
    for name, table in network.named_parameters():
        if name.endswith(("pos_embed", "positional_embedding")):
            table.copy_(torch.randn(table.shape, generator=generator) * 0.5)
    for trunk in trunks:
        settle(trunk)


@torch.no_grad()
def settle(trunk: ModifiedResNet) -> None:
    """Take the statistics of every batch norm from one random picture of large blocks."""
    blocks = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    trunk.train()
    x = trunk.stem(nn.functional.interpolate(blocks, scale_factor=8))
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        x = stage(x)
    trunk.eval()


@pytest.fixture(autouse=True)
def one_thread_without_gradients() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("siglip") / "tokenizer.json")


def tiny_resnet_clip() -> CLIP:
    """Return a ResNet CLIP of 4 blocks: native 64 pixels (2 x 2 tokens), C 256, E 24, 8 heads."""
    torch.manual_seed(1)
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None, "head_width": 8}
    clip = CLIP(24, vision, TINY_TEXT, quick_gelu=True)  # pyright: ignore[reportArgumentType]
    enliven(clip)
    return clip.eval()


def tiny_vit_clip() -> CLIP:
    """Return a ViT CLIP of 3 blocks: native 64 pixels (4 x 4 tokens), C 32, E 24, 4 heads."""
    torch.manual_seed(2)
    vision = {"image_size": 64, "layers": 3, "width": 32, "patch_size": 16, "head_width": 8}
    clip = CLIP(24, vision, TINY_TEXT, quick_gelu=True)  # pyright: ignore[reportArgumentType]
    enliven(clip)
    return clip.eval()


def tiny_siglip_trunk() -> TimmTransformer:
    """Return a SigLIP image tower of 2 blocks: native 64 pixels (4 x 4 tokens), C = E = 32, 4 heads."""
    torch.manual_seed(3)
    trunk = TimmTransformer(
        img_size=64, embed_dim=32, depth=2, num_heads=4, class_token=False, global_pool="map", num_classes=0
    )
    enliven(trunk)
    return trunk.eval()


@pytest.fixture(scope="session")
def tiny_resnet() -> ResNetBackbone:
    backbone = take_apart(tiny_resnet_clip(), CLIP_SETTINGS["RN50"])
    assert isinstance(backbone, ResNetBackbone)
    return backbone


@pytest.fixture(scope="session")
def tiny_vit() -> VitBackbone:
    backbone = take_apart(tiny_vit_clip(), CLIP_SETTINGS["ViT-B-16"])
    assert isinstance(backbone, VitBackbone)
    return backbone


@pytest.fixture(scope="session")
def tiny_siglip(tokenizer_file: Path) -> SiglipBackbone:
    torch.manual_seed(4)
    text = TextTransformer(
        context_length=64, vocab_size=60, width=32, heads=2, layers=2, output_dim=32, no_causal_mask=True,
        pool_type="last", proj_bias=True,
    )  # fmt: skip
    enliven(text)
    settings = CLIP_SETTINGS["ViT-B-16-SigLIP-512"]
    scale = nn.Parameter(torch.tensor(2.0))
    return SiglipBackbone(settings, tiny_siglip_trunk(), SiglipTextTower(text, tokenizer_file), scale).eval()


@pytest.fixture(params=["tiny_resnet", "tiny_vit", "tiny_siglip"])
def tiny(request: pytest.FixtureRequest) -> ClipBackbone:
    """Each tiny network in turn."""
    backbone = request.getfixturevalue(request.param)
    assert isinstance(backbone, ClipBackbone)
    return backbone


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> Architecture:
    """Each published architecture in turn."""
    return request.param


@pytest.fixture(scope="module")
def published(architecture: Architecture) -> Iterator[CLIP | CustomTextCLIP]:
    """open_clip's model of that architecture with random weights; the largest takes 1.2 GB, so one at a time."""
    torch.manual_seed(5)
    clip = create_clip(CLIP_SETTINGS[architecture])
    enliven(clip)
    yield clip
    del clip
    gc.collect()
