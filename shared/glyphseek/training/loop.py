"""The loop that trains one stage: schedule, optimiser, logging, validation and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from glyphseek.training.run import Progress, RunFolder
from glyphseek.training.together import ALONE, Processes

Network = TypeVar("Network", bound=nn.Module)
NetworkIn = TypeVar("NetworkIn", bound=nn.Module, contravariant=True)


class Stage(Protocol[NetworkIn]):
    """What is learned, from which data."""

    @property
    def name(self) -> str:
        """Return the stage's name, as the command line knows it."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the network's parts that this stage trains; the others are frozen."""
        ...

    def loss(self, network: NetworkIn, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named terms whose sum is trained, on one fresh batch; their names follow from the step alone."""
        ...

    def close(self) -> None:
        """Release the data's processes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Optimisation. AdamW with warm-up and a cosine to zero at `steps`."""

    steps: int
    rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: int = 300
    """Steps of a linear warm-up; at most a fifth of all."""
    clip_norm: float = 5.0
    log_every: int = 50
    save_every: int = 500
    validate_every: int = 1000
    seed: int = 0


def rate_at(step: int, settings: LoopSettings) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine to zero."""
    warmup = min(settings.warmup, settings.steps // 5)
    if step < warmup:
        return settings.rate * (step + 1) / warmup
    done = (step - warmup) / max(1, settings.steps - warmup)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def run_stage(
    network: Network,
    stage: Stage[Network],
    folder: RunFolder,
    settings: LoopSettings,
    *,
    batch: int,
    validate: Callable[[Network], dict[str, float]],
    report: Callable[[dict[str, float]], None],
    processes: Processes = ALONE,
) -> Progress:
    """Train `stage` until `settings.steps`, from the folder's last state if there is one, and return where it ended.

    Each of several processes takes `batch` samples a step; the first one alone writes, validates and reports.
    """
    for name, part in network.named_children():
        part.requires_grad_(name in stage.parts)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)
    progress = folder.resume(network, optimizer)
    if processes.leads:
        folder.curves(until=progress.step)
    before, started = progress.seconds, time.monotonic()
    sums: dict[str, float] = {}
    for step in range(progress.step, settings.steps):
        set_training(network, stage.parts)
        terms = train_step(network, stage, optimizer, settings, step, processes)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value / settings.log_every
        done = step + 1
        samples = progress.samples + batch * processes.size
        progress = Progress(step=done, samples=samples, seconds=before + time.monotonic() - started)
        row = {"step": float(done), "seconds": progress.seconds}
        if done % settings.log_every == 0:
            row |= sums | {"rate": rate_at(step, settings)}
            sums = {}
        is_last = done == settings.steps
        validates, saves = is_last or done % settings.validate_every == 0, is_last or done % settings.save_every == 0
        if validates or saves:
            processes.average(counted(network, stage.parts))
        if not processes.leads:
            continue
        if validates:
            row |= validate(network.eval())
        if len(row) > 2:
            folder.log(row)
            report(row)
        if saves:
            folder.save(network, optimizer, progress)
            folder.plot()
    return progress


def train_step(
    network: Network,
    stage: Stage[Network],
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    step: int,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Take one optimiser step and return the value of each term, both by the mean over all processes.

    A step whose gradient is not finite is skipped.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step, settings)
    terms = stage.loss(network, step, np.random.default_rng([settings.seed, step]))
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    share_gradients(trained, processes)
    norm = torch.nn.utils.clip_grad_norm_(trained, settings.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    values = [value.detach().float() for value in terms.values()]
    processes.average(values)
    return {name: float(value) for name, value in zip(terms, values, strict=True)} | {"gradient_norm": float(norm)}


def share_gradients(trained: list[nn.Parameter], processes: Processes) -> None:
    """Average the gradients over all processes; one whose batch had no use for a parameter takes part with zeros.

    A parameter that no process had a use for stays without a gradient, so that its weights do not decay either.
    """
    if processes.size == 1 or not trained:
        return
    uses = torch.tensor([parameter.grad is not None for parameter in trained]).to(trained[0])
    processes.average([uses])
    gradients: list[Tensor] = []
    for parameter, share in zip(trained, uses.tolist(), strict=True):
        if share > 0:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients.append(parameter.grad)
    processes.average(gradients)


def counted(network: nn.Module, parts: tuple[str, ...]) -> list[Tensor]:
    """Return what trained parts count beside weights, such as running statistics of normalisation."""
    named = network.named_children()
    return [buffer for name, part in named if name in parts for buffer in part.buffers() if buffer.is_floating_point()]


def set_training(network: nn.Module, parts: tuple[str, ...]) -> None:
    """Put the trained parts into training mode and the frozen ones into inference mode."""
    for name, part in network.named_children():
        part.train(name in parts)
