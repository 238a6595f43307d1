"""A training run's folder: checkpoints without pickle, the log of its curves, and their plot.

run/
  state.safetensors   weights and optimiser, replaced atomically
  state.json          step, seconds and the command; written after the tensors that it names
  curves.jsonl        one line a log interval
  curves.png
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from glyphseek.errors import CheckpointDamaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: optimiser steps, samples seen and seconds spent."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


class RunFolder:
    """Reads and writes one run. `resume` after `save` gives the same weights and optimiser state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def save(self, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write the state; a crash at any moment leaves the previous one readable."""
        tensors = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v.contiguous() for k, v in state.items()}
        name = f"state-{progress.step}.safetensors"
        save_file(tensors, self.path / name)
        write_atomically(self.path / "state.json", json.dumps({"tensors": name, **asdict(progress)}))
        for old in self.path.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink()

    def resume(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Load the last state into both and return where it stood; a fresh folder gives step 0."""
        if not (self.path / "state.json").exists():
            return Progress()
        state = json.loads((self.path / "state.json").read_text())
        tensors = load_file(self.path / state.pop("tensors"))
        load_weights(network, {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
        packed: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                packed.setdefault(int(index), {})[key] = value
        if packed:
            optimizer.load_state_dict({"state": packed, "param_groups": optimizer.state_dict()["param_groups"]})
        return Progress(**state)

    def step(self) -> int:
        """Return the step of the last state, 0 of a fresh folder."""
        path = self.path / "state.json"
        return int(json.loads(path.read_text())["step"]) if path.exists() else 0

    def weights(self) -> dict[str, Tensor]:
        """Return the network's tensors of the last state. Raises CheckpointDamaged when there is none."""
        try:
            state = json.loads((self.path / "state.json").read_text())
            tensors = load_file(self.path / state["tensors"])
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointDamaged(f"{self.path} holds no readable training state: {error}") from error
        return {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}

    def log(self, row: dict[str, float]) -> None:
        """Append one row to the curves."""
        with (self.path / "curves.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def curves(self, *, until: int | None = None) -> list[dict[str, float]]:
        """Return the rows logged so far; with `until`, those up to that step, and forget the later ones."""
        path = self.path / "curves.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill can leave half a line at the end
        if until is None:
            return rows
        kept = [row for row in rows if row["step"] <= until]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
        return kept

    def plot(self) -> None:
        """Draw every logged quantity over steps into curves.png."""
        from matplotlib.figure import Figure

        rows = self.curves()
        names = sorted({name for row in rows for name in row} - {"step", "seconds", "samples"})
        if not names:
            return
        columns = min(3, len(names))
        figure = Figure(figsize=(5 * columns, 3 * -(-len(names) // columns)), layout="constrained")
        for place, name in enumerate(names):
            axes = figure.add_subplot(-(-len(names) // columns), columns, place + 1)
            points = [(row["step"], row[name]) for row in rows if name in row]
            axes.plot(*zip(*points, strict=True))
            axes.set(title=name, xlabel="step")
            axes.grid(visible=True, alpha=0.3)
        figure.savefig(self.path / "curves.png", dpi=80)


def load_weights(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load tensors by name, raising CheckpointDamaged when names or shapes differ from the network's."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointDamaged(str(error)) from error


def write_atomically(path: Path, text: str) -> None:
    """Replace the file's text in one step."""
    draft = path.with_suffix(path.suffix + ".part")
    draft.write_text(text)
    os.replace(draft, path)
