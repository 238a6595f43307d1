from __future__ import annotations

import torch
from training.toy import toy_network

from glyphseek.training.compute import ON_CPU, Compute

FIRST, SECOND = torch.tensor([[1.0, 2.0**-10]]), torch.ones(2, 1)


def test_compiled_convolutions_answer_as_before_and_keep_the_names_of_weights() -> None:
    plain, compiled = toy_network().eval(), Compute(backend="eager").settle(toy_network().eval())
    images = torch.randn(1, 3, 64, 64)

    with torch.inference_mode():
        expected, found = plain.detect(plain.levels(images)), compiled.detect(compiled.levels(images))

    assert torch.allclose(found.logits_BA, expected.logits_BA, atol=1e-5)
    assert torch.allclose(found.distances_BA4, expected.distances_BA4, atol=1e-4)
    assert compiled.state_dict().keys() == plain.state_dict().keys()


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
