"""Cross attention against a reference written as plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from glyphseek.models.cayn.pfca import attend, pooled_cosine

Vector = list[float]


def cosine_to_unit_key(query: Vector, key: Vector) -> float:
    return sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(sum(q * q for q in query))


def attention_by_loops(query: Vector, keys: list[Vector], padding: list[bool], scale: float) -> Vector:
    weights = [
        0.0 if padded else math.exp(scale * cosine_to_unit_key(query, key))
        for key, padded in zip(keys, padding, strict=True)
    ]
    return [weight / sum(weights) for weight in weights]


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def keys() -> torch.Tensor:
    return torch.nn.functional.normalize(draw(1, 2, 6, 4), dim=-1)


@pytest.fixture
def is_padding() -> torch.Tensor:
    return torch.tensor([[False] * 6, [False, True, False, False, True, True]])


def test_one_query_finds_the_keys_by_their_cosine(keys: torch.Tensor, is_padding: torch.Tensor) -> None:
    queries = draw(0, 2, 1, 4) * 3

    found = attend(queries, keys, is_padding, 5.0)

    for p in range(2):
        query, rows, padding = queries[p, 0].tolist(), keys[p].tolist(), is_padding[p].tolist()
        attention = attention_by_loops(query, rows, padding, 5.0)
        values = [sum(a * row[e] for a, row in zip(attention, rows, strict=True)) for e in range(4)]
        assert found.attention_PN[p].tolist() == pytest.approx(attention, abs=1e-12)
        assert found.values_PE[p].tolist() == pytest.approx(values, abs=1e-12)
        cosines = [cosine_to_unit_key(query, row) for row in rows]
        pooled = sum(a * c for a, c in zip(attention, cosines, strict=True))
        assert float(pooled_cosine(queries[:, 0], found)[p]) == pytest.approx(pooled, abs=1e-12)


def test_several_queries_are_averaged_without_their_padding(keys: torch.Tensor, is_padding: torch.Tensor) -> None:
    queries = draw(2, 2, 3, 4)
    asked = torch.tensor([[False, False, False], [False, True, False]])

    found = attend(queries, keys, is_padding, 2.0, is_padding_PS=asked)

    for p, kept in ((0, (0, 1, 2)), (1, (0, 2))):
        rows, padding = keys[p].tolist(), is_padding[p].tolist()
        maps = [attention_by_loops(queries[p, s].tolist(), rows, padding, 2.0) for s in kept]
        attention = [sum(column) / len(kept) for column in zip(*maps, strict=True)]
        values = [sum(a * row[e] for a, row in zip(attention, rows, strict=True)) for e in range(4)]
        assert found.attention_PN[p].tolist() == pytest.approx(attention, abs=1e-12)
        assert found.values_PE[p].tolist() == pytest.approx(values, abs=1e-12)


def test_attention_sums_to_one_and_leaves_padding_out(keys: torch.Tensor, is_padding: torch.Tensor) -> None:
    found = attend(draw(3, 2, 2, 4), keys, is_padding, 100.0)

    torch.testing.assert_close(found.attention_PN.sum(1), torch.ones(2, dtype=torch.float64))
    assert bool((found.attention_PN[is_padding] == 0).all())


def test_what_stands_in_padding_changes_nothing(keys: torch.Tensor, is_padding: torch.Tensor) -> None:
    queries = draw(4, 2, 1, 4)
    spoilt = keys.masked_fill(is_padding[..., None], 9.0)

    before, after = attend(queries, keys, is_padding, 3.0), attend(queries, spoilt, is_padding, 3.0)

    torch.testing.assert_close(after.values_PE, before.values_PE)


def test_a_large_scale_finds_the_most_similar_key(keys: torch.Tensor, is_padding: torch.Tensor) -> None:
    found = attend(keys[:, 3:4], keys, is_padding, 1e4)

    torch.testing.assert_close(found.values_PE, keys[:, 3])
