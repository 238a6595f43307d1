"""Two processes that train a toy stage together, and one that does what they should do."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from training.toy import ToyStage, toy_network

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.training.loop import LoopSettings, run_stage
from glyphseek.training.run import Progress, RunFolder
from glyphseek.training.together import ALONE, Processes, joined
from glyphseek.types import FloatArray

SETTINGS = LoopSettings(steps=6, rate=0.01, warmup=2, log_every=2, save_every=3, validate_every=3)
SEEDS = (11, 12)
LONGEST_WAIT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How one process ended: its weights, the samples of all and the number of its reports."""

    weights: dict[str, FloatArray]
    samples: int
    reports: int


class MeanStage(ToyStage):
    """What two processes with a toy stage each learn together."""

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the mean of both stages' terms."""
        both = [super(MeanStage, self).loss(network, step, np.random.default_rng([seed, step])) for seed in SEEDS]
        return {"distance": torch.stack([one["distance"] for one in both]).mean()}


class LazyStage(ToyStage):
    """A stage whose batch has no use for the parameters at even steps."""

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return a term that does not depend on the network at even steps."""
        if step % 2 == 0:
            return {"distance": torch.zeros((), requires_grad=True)}
        return super().loss(network, step, rng)


def train(folder: Path, stage: ToyStage, seed: int, processes: Processes = ALONE) -> tuple[Tdsl, Progress, int]:
    network, reports = toy_network(), list[dict[str, float]]()
    network.text_sequence.register_buffer("noted", torch.full((2,), float(seed)))
    network.pyramid.register_buffer("frozen", torch.full((2,), float(seed)))
    network.text_sequence.register_parameter("unused", nn.Parameter(torch.ones(2)))
    ended = run_stage(
        network,
        stage,
        RunFolder(folder),
        replace(SETTINGS, seed=seed),
        batch=5,
        validate=lambda network: {"training": float(network.training)},
        report=reports.append,
        processes=processes,
    )
    return network, ended, len(reports)


def torchrun_variables(rank: int, *, size: int, port: int = 0) -> dict[str, str]:
    """Return what torchrun says to a process in its environment."""
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {"TORCHELASTIC_RUN_ID": "test"} | {name: str(value) for name, value in values.items()}


def in_one_process(rank: int, port: int, folder: Path, stage: type[ToyStage]) -> End:
    os.environ |= torchrun_variables(rank, size=2, port=port)
    torch.set_num_threads(1)
    with joined("cpu", wait=LONGEST_WAIT) as processes:
        network, ended, reports = train(folder, stage() if rank else ToyStage(), SEEDS[rank], processes)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return End(weights=weights, samples=ended.samples, reports=reports)


def two_processes() -> ProcessPoolExecutor:
    """Return two fresh processes."""
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def train_in(pool: ProcessPoolExecutor, folder: Path, stage: type[ToyStage]) -> tuple[End, End]:
    """Return how each of the pool's two processes ended, the second of them with this stage."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    first, second = (pool.submit(in_one_process, rank, port, folder, stage) for rank in range(2))
    return first.result(), second.result()
