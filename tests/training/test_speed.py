from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training.toy import ToyStage, toy_network

from glyphseek.training.compute import ON_CPU
from glyphseek.training.loop import LoopSettings
from glyphseek.training.speed import WARM_UP_STEPS, Speed, count_operations, find_peak, measure_speed

ROWS, INPUTS, OUTPUTS = 3, 5, 7


class OneProduct(nn.Module):
    """A network of one matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(INPUTS, OUTPUTS, bias=False)


class ProductStage:
    """Multiplies random rows."""

    name = "product"
    parts = ("part",)

    def loss(self, network: OneProduct, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the sum of the product."""
        del step
        return {"sum": network.part(torch.from_numpy(rng.normal(size=(ROWS, INPUTS))).float()).sum()}

    def close(self) -> None:
        """Have nothing to release."""


def test_operations_are_counted_forward_and_backward() -> None:
    network = OneProduct()

    counted = count_operations(network, ProductStage(), LoopSettings(steps=1))

    # The product, and the gradient of its weights; its input needs none.
    assert counted == 2 * (2 * ROWS * INPUTS * OUTPUTS)
    assert network.part.weight.grad is None


def test_as_many_steps_are_timed_as_asked_for_after_a_warm_up() -> None:
    stage = ToyStage()

    speed = measure_speed(toy_network(), stage, ON_CPU, LoopSettings(steps=4), batch=6)

    warm = list(range(WARM_UP_STEPS))
    assert stage.steps == [*warm, *warm, 0, 1, 2, 3]
    assert speed.images_per_s == pytest.approx(6 / speed.step_s)


def test_the_share_of_the_peak_is_told_where_the_peak_is_known() -> None:
    known = Speed(images_per_s=80.0, step_s=0.05, operations_per_step=2e12, peak_operations_per_s=400e12)
    unknown = Speed(images_per_s=80.0, step_s=0.05, operations_per_step=2e12, peak_operations_per_s=None)

    assert known.figures() == pytest.approx(
        {"images/s": 80.0, "step_ms": 50.0, "teraflops": 40.0, "percent_of_peak": 10.0}
    )
    assert "percent_of_peak" not in unknown.figures()


def test_a_processors_peak_is_not_known() -> None:
    assert find_peak(ON_CPU) is None
