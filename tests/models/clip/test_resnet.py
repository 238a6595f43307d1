"""The attention pool and its local tokens against plain loops, at grids of any shape."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glyphseek.models.clip.positions import resize_table, square
from glyphseek.models.clip.resnet import ResNetBackbone


def positions(backbone: ResNetBackbone, height: int, width: int) -> Tensor:
    """Return the position of the mean slot, then those of the grid, row by row."""
    table = backbone.visual.attnpool.positional_embedding
    return torch.cat([table[:1], resize_table(square(table[1:]), height, width).flatten(0, 1)])


def project(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    return layer.weight @ x + layer.bias


def pool_by_loops(backbone: ResNetBackbone, grid_HWC: Tensor) -> Tensor:
    """Return one image's vector: for each head, its query weighs the values of every token."""
    pool = backbone.visual.attnpool
    rows = list(grid_HWC.flatten(0, 1))
    features = [sum(rows[1:], rows[0]) / len(rows), *rows]
    places = positions(backbone, *grid_HWC.shape[:2])
    tokens = [feature + place for feature, place in zip(features, places, strict=True)]
    query = project(pool.q_proj, tokens[0])
    width = query.shape[0] // pool.num_heads
    mixed: list[Tensor] = []
    for head in range(pool.num_heads):
        part = slice(head * width, (head + 1) * width)
        scores = [float(query[part] @ project(pool.k_proj, token)[part]) / math.sqrt(width) for token in tokens]
        largest = max(scores)
        weights = [math.exp(score - largest) for score in scores]
        values = [project(pool.v_proj, token)[part] for token in tokens]
        parts = [weight / sum(weights) * value for weight, value in zip(weights, values, strict=True)]
        mixed.append(sum(parts[1:], parts[0]))
    return project(pool.c_proj, torch.cat(mixed))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (5, 5), (3, 7), (1, 4)])
def test_pool_is_the_plain_attention_at_any_grid(tiny_resnet: ResNetBackbone, height: int, width: int) -> None:
    tokens = torch.randn(1, height, width, 256)
    vector, _ = tiny_resnet.pool(tokens, torch.zeros(1, height, width, dtype=torch.bool))
    torch.testing.assert_close(vector[0], pool_by_loops(tiny_resnet, tokens[0]), rtol=1e-4, atol=1e-5)


def test_pool_leaves_padding_out(tiny_resnet: ResNetBackbone) -> None:
    tokens = torch.randn(2, 4, 6, 256)
    is_padding = torch.zeros(2, 4, 6, dtype=torch.bool)
    is_padding[1, 3:] = True
    is_padding[1, :, 2:] = True
    vectors, local = tiny_resnet.pool(tokens, is_padding)
    torch.testing.assert_close(vectors[1], pool_by_loops(tiny_resnet, tokens[1, :3, :2]), rtol=1e-4, atol=1e-5)
    assert not local[is_padding].any()


def test_local_tokens_are_what_the_pool_gives_with_all_attention_on_one_token(tiny_resnet: ResNetBackbone) -> None:
    pool = tiny_resnet.visual.attnpool
    tokens = torch.randn(1, 3, 5, 256)
    _, local = tiny_resnet.pool(tokens, torch.zeros(1, 3, 5, dtype=torch.bool))
    places = positions(tiny_resnet, 3, 5)[1:].unflatten(0, (3, 5))
    for row in range(3):
        for column in range(5):
            token = tokens[0, row, column] + places[row, column]
            wanted = project(pool.c_proj, project(pool.v_proj, token))
            torch.testing.assert_close(local[0, row, column], wanted, rtol=1e-4, atol=1e-5)


def test_tokens_are_those_of_the_trunk(tiny_resnet: ResNetBackbone) -> None:
    pixels = torch.rand(2, 3, 96, 64)
    tokens, _ = tiny_resnet.image_tokens(pixels, torch.zeros(2, 96, 64, dtype=torch.bool))
    trunk = tiny_resnet.visual
    x = trunk.stem((pixels - tiny_resnet.mean) / tiny_resnet.deviation)
    x = trunk.layer4(trunk.layer3(trunk.layer2(trunk.layer1(x))))
    torch.testing.assert_close(tokens, x.permute(0, 2, 3, 1))
