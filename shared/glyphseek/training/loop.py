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
        """Return the named terms whose sum is trained, on one fresh batch."""
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
) -> Progress:
    """Train `stage` until `settings.steps`, from the folder's last state if there is one, and return where it ended."""
    for name, part in network.named_children():
        part.requires_grad_(name in stage.parts)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)
    progress = folder.resume(network, optimizer)
    folder.curves(until=progress.step)
    before, started = progress.seconds, time.monotonic()
    sums: dict[str, float] = {}
    for step in range(progress.step, settings.steps):
        set_training(network, stage.parts)
        terms = train_step(network, stage, optimizer, settings, step)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value / settings.log_every
        done = step + 1
        progress = Progress(step=done, samples=done * batch, seconds=before + time.monotonic() - started)
        row = {"step": float(done), "seconds": progress.seconds}
        if done % settings.log_every == 0:
            row |= sums | {"rate": rate_at(step, settings)}
            sums = {}
        if done % settings.validate_every == 0 or done == settings.steps:
            row |= validate(network.eval())
        if len(row) > 2:
            folder.log(row)
            report(row)
        if done % settings.save_every == 0 or done == settings.steps:
            folder.save(network, optimizer, progress)
            folder.plot()
    return progress


def train_step(
    network: Network, stage: Stage[Network], optimizer: torch.optim.Optimizer, settings: LoopSettings, step: int
) -> dict[str, float]:
    """Take one optimiser step and return the value of each term. A step whose gradient is not finite is skipped."""
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step, settings)
    terms = stage.loss(network, step, np.random.default_rng([settings.seed, step]))
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    norm = torch.nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], settings.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return {name: float(value.detach()) for name, value in terms.items()} | {"gradient_norm": float(norm)}


def set_training(network: nn.Module, parts: tuple[str, ...]) -> None:
    """Put the trained parts into training mode and the frozen ones into inference mode."""
    for name, part in network.named_children():
        part.train(name in parts)
