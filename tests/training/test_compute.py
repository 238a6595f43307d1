from __future__ import annotations

import torch

from glyphseek.training.compute import ON_CPU, Compute

FIRST, SECOND = torch.tensor([[1.0, 2.0**-10]]), torch.ones(2, 1)


def test_products_in_bfloat16_keep_8_bits() -> None:
    with Compute(precision="bfloat16").autocast():
        product = FIRST @ SECOND

    assert product.dtype == torch.bfloat16
    assert float(product) == 1.0


def test_products_in_float32_are_left_as_they_are() -> None:
    with ON_CPU.autocast():
        product = FIRST @ SECOND

    assert product.dtype == torch.float32
    assert float(product) == 1 + 2**-10
