"""A stage without data: it pulls the embeddings of two words to random places."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import find_preset

WORDS = ("open", "exit")


def toy_network(seed: int = 0) -> Tdsl:
    torch.manual_seed(seed)
    return Tdsl(find_preset("tdsl-tiny"))


class ToyStage:
    """Trains the text sequence alone; the loss follows from the step's generator. Stops like Ctrl-C at `stop_at`."""

    name = "toy"
    parts = ("text_sequence",)

    def __init__(self, *, stop_at: int | None = None, scale: float = 1.0) -> None:
        self._stop_at, self._scale = stop_at, scale
        self.steps: list[int] = []
        self.closed = False

    def loss(self, network: Tdsl, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return one term."""
        if step == self._stop_at:
            raise KeyboardInterrupt
        self.steps.append(step)
        found = network.text_sequence(WORDS)
        wanted = torch.from_numpy(rng.normal(size=tuple(found.shape))).float()
        return {"distance": self._scale * (found - wanted).square().mean()}

    def close(self) -> None:
        """Note that the stage was closed."""
        self.closed = True
