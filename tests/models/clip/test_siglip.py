"""Local tokens of SigLIP: the attention head's answer were all its attention on one token."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import cast

import pytest
import torch
from timm.layers.attention_pool import AttentionPoolLatent

from glyphseek.models.clip.settings import LocalPath
from glyphseek.models.clip.siglip import SiglipBackbone, attend_to_one


def head_of(backbone: SiglipBackbone) -> AttentionPoolLatent:
    return cast(AttentionPoolLatent, backbone.visual.attn_pool)


def test_with_its_mlp_a_local_token_is_the_heads_answer_to_that_token_alone(tiny_siglip: SiglipBackbone) -> None:
    head, x = head_of(tiny_siglip), torch.randn(1, 5, 32)
    wanted = torch.cat([head(x[:, place : place + 1]) for place in range(5)])
    torch.testing.assert_close(attend_to_one(head, x, "block")[0], wanted, rtol=1e-4, atol=1e-5)


def test_without_its_mlp_a_local_token_is_the_projected_value(tiny_siglip: SiglipBackbone) -> None:
    head, x = head_of(tiny_siglip), torch.randn(1, 5, 32)
    bare = deepcopy(head)
    bare.mlp = None
    wanted = torch.cat([bare(x[:, place : place + 1]) for place in range(5)])
    torch.testing.assert_close(attend_to_one(head, x, "value")[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", ["value", "block"])
def test_local_tokens_come_after_the_last_norm(tiny_siglip: SiglipBackbone, path: LocalPath) -> None:
    backbone = deepcopy(tiny_siglip)
    backbone.settings = replace(tiny_siglip.settings, local_path=path)
    pixels = torch.rand(1, 3, 64, 64)
    features = backbone.visual.forward_features((pixels - backbone.mean) / backbone.deviation)
    _, local = backbone.pool(*backbone.image_tokens(pixels, torch.zeros(1, 64, 64, dtype=torch.bool)))
    wanted = attend_to_one(head_of(backbone), features, path)
    torch.testing.assert_close(local.flatten(1, 2), wanted, rtol=1e-4, atol=1e-5)
