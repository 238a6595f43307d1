"""How quickly a stage trains: images a second, arithmetic a step, and the share of what the processor could do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from glyphseek.training.compute import Compute, Precision
from glyphseek.training.loop import LoopSettings, Network, Stage, set_training, train_step

WARM_UP_STEPS = 5
"""Steps before the clock starts, that compile, choose kernels and fill caches."""
PEAKS: dict[tuple[str, Precision], float] = {
    ("NVIDIA A100", "bfloat16"): 312e12,
    ("NVIDIA A100", "float32"): 156e12,
    ("NVIDIA H100", "bfloat16"): 989e12,
    ("NVIDIA H100", "float32"): 494e12,
    ("NVIDIA H200", "bfloat16"): 989e12,
    ("NVIDIA H200", "float32"): 494e12,
}
"""Dense operations a second by NVIDIA's data sheets (SXM); in float32 those of TF32, which torch uses in
convolutions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One measurement. An operation is a multiplication or an addition, forward and backward; LSTMs are not counted."""

    images_per_s: float
    step_s: float
    operations_per_step: float
    peak_operations_per_s: float | None

    def figures(self) -> dict[str, float]:
        """Return what is reported, by name; the share of the peak only where the peak is known."""
        rate = self.operations_per_step / self.step_s
        told = {"images/s": self.images_per_s, "step_ms": 1e3 * self.step_s, "teraflops": rate / 1e12}
        if self.peak_operations_per_s is not None:
            told["percent_of_peak"] = 100 * rate / self.peak_operations_per_s
        return told


def measure_speed(
    network: Network, stage: Stage[Network], compute: Compute, settings: LoopSettings, *, batch: int
) -> Speed:
    """Train `settings.steps` steps against the clock, after a warm-up, on a network that is settled already.

    Operations are those of the first of the timed steps' generator, counted in a step of their own.
    """
    for name, part in network.named_children():
        part.requires_grad_(name in stage.parts)
    set_training(network, stage.parts)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=settings.rate)
    counted = count_operations(network, stage, settings)
    for step in range(WARM_UP_STEPS):
        train_step(network, stage, optimizer, settings, step)
    wait_for(compute)
    began = time.perf_counter()
    for step in range(settings.steps):
        train_step(network, stage, optimizer, settings, step)
    wait_for(compute)
    step_s = (time.perf_counter() - began) / settings.steps
    return Speed(
        images_per_s=batch / step_s,
        step_s=step_s,
        operations_per_step=counted,
        peak_operations_per_s=find_peak(compute),
    )


def count_operations(network: Network, stage: Stage[Network], settings: LoopSettings) -> float:
    """Return the mean operations of a forward and backward pass over the first steps; the weights stay as they are."""
    with FlopCounterMode(display=False) as counter:
        for step in range(WARM_UP_STEPS):
            terms = stage.loss(network, step, np.random.default_rng([settings.seed, step]))
            torch.stack(list(terms.values())).sum().backward()
    for parameter in network.parameters():
        parameter.grad = None
    return counter.get_total_flops() / WARM_UP_STEPS


def find_peak(compute: Compute) -> float | None:
    """Return the operations a second that the device is sold for at this precision; None where that is not known."""
    if torch.device(compute.device).type != "cuda":
        return None
    name = torch.cuda.get_device_name(compute.device)
    return next(
        (peak for (chip, kind), peak in PEAKS.items() if name.startswith(chip) and kind == compute.precision), None
    )


def wait_for(compute: Compute) -> None:
    """Return when the device has finished what it was given."""
    if torch.device(compute.device).type == "cuda":
        torch.cuda.synchronize(compute.device)
