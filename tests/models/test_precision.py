from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glyphseek.models.precision import choose_precision, count_in_bfloat16, has_native_bfloat16


class Levels(nn.Module):
    """A pyramid of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.kinds: list[torch.dtype] = []

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        level = self.convolution(images)
        self.kinds.append(level.dtype)
        return {8: level, 16: level[..., ::2, ::2]}


def tell(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, **capabilities}, raising=False)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tell(monkeypatch, **{name: True})
    assert choose_precision("auto", "cpu") == "bfloat16"
    assert choose_precision("auto", "cuda") == "float32"
    assert choose_precision("float32", "cpu") == "float32"


def test_auto_is_float32_where_bfloat16_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, avx512_bf16=False)
    assert choose_precision("auto", "cpu") == "float32"
    assert choose_precision("bfloat16", "cpu") == "bfloat16"


def test_a_torch_that_cannot_tell_counts_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not has_native_bfloat16()


def test_narrowed_parts_take_and_give_float32() -> None:
    torch.manual_seed(0)
    images, levels, convolution = torch.randn(1, 3, 8, 8), Levels(), nn.Conv2d(3, 4, 3)
    with torch.inference_mode():
        exact, exact_levels = convolution(images), levels(images)
        count_in_bfloat16([convolution, levels])
        near, near_levels = convolution(images), levels(images)

    assert levels.kinds == [torch.float32, torch.bfloat16]
    assert near.dtype == torch.float32
    assert torch.allclose(near, exact, atol=0.02)
    assert not torch.equal(near, exact)
    assert list(near_levels) == [8, 16]
    assert all(torch.allclose(near_levels[name], level, atol=0.02) for name, level in exact_levels.items())
    assert all(level.dtype == torch.float32 for level in near_levels.values())
