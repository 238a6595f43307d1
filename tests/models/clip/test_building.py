"""Every published architecture at its native resolution gives open_clip's own vectors (random weights)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn.functional import normalize

from glyphseek.errors import MissingExtra
from glyphseek.models.clip.building import build_clip, take_apart
from glyphseek.models.clip.settings import ARCHITECTURES, CLIP_SETTINGS, Architecture
from glyphseek.models.clip.text import SiglipTextTower
from glyphseek.models.clip.tower import ClipBackbone

WORDS = ["coffee", "bank of america", "RE16"]
PARAMETERS: dict[Architecture, int] = {
    "RN50": 102_007_137,
    "RN50x4": 178_300_601,
    "RN50x16": 290_979_217,
    "ViT-B-16": 149_620_737,
}
"""As published; SigLIP's 203.79 M are compared with that rounding."""


@pytest.fixture(scope="module")
def backbone(published: CLIP | CustomTextCLIP, architecture: Architecture, tokenizer_file: Path) -> ClipBackbone:
    native = replace(CLIP_SETTINGS[architecture], longer_side=ARCHITECTURES[architecture].native_side, tiles=1)
    return take_apart(published, native, tokenizer=tokenizer_file)


def assert_same_vectors(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(normalize(ours, dim=-1), normalize(theirs, dim=-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.norm(dim=-1).max()))


def test_image_vectors_at_the_native_size_are_those_of_open_clip(
    published: CLIP | CustomTextCLIP, backbone: ClipBackbone
) -> None:
    side = backbone.longer_side
    pixels = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(7))
    theirs = published.encode_image((pixels - backbone.mean) / backbone.deviation)
    tokens, is_padding = backbone.image_tokens(pixels, torch.zeros(1, side, side, dtype=torch.bool))
    ours, local = backbone.pool(tokens, is_padding)
    assert_same_vectors(ours, theirs)
    grid = side // backbone.stride
    assert tokens.shape == (1, grid, grid, backbone.token_width)
    assert local.shape == (1, grid, grid, backbone.joint_width)


def test_text_vectors_are_those_of_open_clip(published: CLIP | CustomTextCLIP, backbone: ClipBackbone) -> None:
    ids = backbone.text.tokenize(WORDS)[0] if isinstance(backbone.text, SiglipTextTower) else SimpleTokenizer()(WORDS)
    theirs = published.encode_text(ids)
    ours, tokens, is_padding = backbone.encode_text(WORDS)
    assert_same_vectors(ours, theirs)
    assert tokens.shape == (*is_padding.shape, backbone.joint_width)


def test_parameters_are_the_published_count(backbone: ClipBackbone, architecture: Architecture) -> None:
    count = sum(parameter.numel() for parameter in backbone.parameters())
    assert round(count / 1e6, 2) == 203.79 if architecture not in PARAMETERS else count == PARAMETERS[architecture]


def test_temperature_is_that_of_the_weights(published: CLIP | CustomTextCLIP, backbone: ClipBackbone) -> None:
    assert float(backbone.logit_scale) == float(published.logit_scale)


def test_a_missing_open_clip_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtra, match=r"glyphseek\[clip\]"):
        build_clip(CLIP_SETTINGS["RN50"])
