"""Processes that train one network together, each on samples of its own; `torchrun` starts them.

Gradients are averaged after every backward pass, as torch's DistributedDataParallel does. That wraps a network's
`forward`; stages call parts of the network by their names, so that what is averaged is done here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import get_node_local_rank

from glyphseek.errors import SettingError

LONGEST_WAIT = timedelta(hours=1)
"""How long the others wait for the process that validates and saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Which of how many processes this is. The first one logs, validates and saves."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Return whether this is the first process."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type and device by their means over all processes, which must give the same shapes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))


ALONE = Processes()


@contextmanager
def joined(device: str, *, wait: timedelta = LONGEST_WAIT) -> Generator[Processes]:
    """Join the processes that torchrun started on this machine, over NCCL for `cuda`, else over Gloo; alone without it.

    Each process has the GPU of its place. Raises SettingError when `device` names one GPU for all, when there are more
    processes than GPUs, or when there are processes on other machines.
    """
    if not distributed.is_torchelastic_launched():
        yield ALONE
        return
    kind, place = torch.device(device).type, get_node_local_rank()
    if device != kind:
        raise SettingError(f"device {device!r} is one device for all processes; give {kind!r}: one for each")
    if kind == "cuda":
        if place >= torch.cuda.device_count():
            raise SettingError(f"no GPU for process {place + 1}: this machine has {torch.cuda.device_count()}")
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=wait)
    if distributed.get_rank() != place:
        raise SettingError("the processes of one run are on one machine, where its folder is: --nnodes=1")
    yield Processes(rank=place, size=distributed.get_world_size())
    if kind == "cuda":
        torch.cuda.synchronize()
    # After an error the others wait in a call that leaving in order would wait for: this process just ends.
    distributed.destroy_process_group()
