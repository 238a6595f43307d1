"""Where and in what precision a stage is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

Precision = Literal["float32", "bfloat16"]


Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class Compilable(Protocol):
    """A network that names the modules worth compiling."""

    def convolutional_parts(self) -> tuple[nn.Module, ...]:
        """Return them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Device and precision of a training step.

    bfloat16 has the range of float32, so that no loss needs scaling. Where the processor multiplies it natively
    (AVX-512 BF16, AMX, tensor cores) a step of the small detector took 0.58 of its time in float32 (one core of an AMD
    EPYC, four windows of 384 px: 194 ms against 334 ms).
    """

    device: str = "cpu"
    precision: Precision = "float32"
    backend: str | None = None
    """What convolutions are compiled by (`inductor`, or another backend of torch.compile); None leaves them alone."""

    def autocast(self) -> torch.autocast:
        """Return a context in which convolutions and products run in `precision`; float32 changes nothing."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16")

    def settle(self, network: Network) -> Network:
        """Return the network on the device, its maps in channels-last memory, its convolutions compiled if asked for.

        Names of weights stay as they are, so that runs can be resumed with another `Compute`.
        """
        network = network.to(self.device).to(memory_format=torch.channels_last)
        if self.backend is not None and isinstance(network, Compilable):
            for part in network.convolutional_parts():
                part.compile(backend=self.backend)
        return network


ON_CPU = Compute()
