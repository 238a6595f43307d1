"""Train CAYN's adapter and head in several ways and compare: what the parts of the method are worth.

    python scripts/ablate_cayn.py --weights MODEL --real FOLDER... --cache DIR --out DIR [--seeds 2] [--steps 120]

Every variant is trained `--seeds` times over the same frozen backbone on the annotated folders `--real`, whose held-out
photos are then asked for every word of theirs. Features of the backbone are computed once and kept in `--cache`. Writes
ablation.json and ablation.md: mean and standard deviation over seeds of mAP by recall alone and after a rerank of
K = 32. `glyphseek eval --rerank K` measures other depths.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from glyphseek.training.recipe import Recipe, run_recipe
from glyphseek.training.run import RunFolder

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "default (VPA; ITM with NLC and HEM)": (),
    "no VPA": ("vpa=off",),
    "ITM with NLC, uniform sampling": ("sampling=uniform",),
    "ITM with HEM, no NLC": ("itm_nlc=false",),
    "ITM with uniform sampling, no NLC": ("itm_nlc=false", "sampling=uniform"),
}
COLUMNS = ("recall_map", "rerank_map")

Figures = dict[str, list[dict[str, float]]]


def main() -> None:
    """Train each variant with each seed and write the table after every run."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    rows: Figures = {}
    for seed in range(options.seeds):
        for number, (name, changes) in enumerate(VARIANTS.items()):
            figures = train(options, options.out / "runs" / f"{number}-{seed}", changes, seed)
            rows.setdefault(name, []).append(figures)
            print(f"{name}, seed {seed}: {figures}", flush=True)
            write(options.out, options.steps, rows)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Compare ways to train CAYN's adapter and head.")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cayn-small")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def train(options: argparse.Namespace, run: Path, changes: Sequence[str], seed: int) -> dict[str, float]:
    """Return mAP on the held-out photos after one run; a run that is there already is not repeated."""
    recipe = Recipe(
        stage="adapter",
        run=run,
        preset=options.preset,
        steps=options.steps,
        real=tuple(options.real),
        weights=options.weights,
        cache=options.cache,
        set=tuple(changes),
        save_every=options.steps,
        validate_every=options.steps,
        seed=seed,
    )
    run_recipe(recipe, report=lambda row: None)
    last = RunFolder(run).curves()[-1]
    return {column: last[column] for column in COLUMNS}


def write(out: Path, steps: int, rows: Figures) -> None:
    """Write the figures so far."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(json.dumps({"steps": steps, "variants": rows}, indent=1) + "\n")
    lines = ["| variant | recall alone | rerank 32 |", "|---|---:|---:|"]
    lines += [f"| {name} | " + " | ".join(spread(found, c) for c in COLUMNS) + " |" for name, found in rows.items()]
    (out / "ablation.md").write_text("\n".join(lines) + "\n")


def spread(found: Sequence[dict[str, float]], column: str) -> str:
    """Return mean and standard deviation over seeds, in percent."""
    values = [row[column] for row in found]
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


if __name__ == "__main__":
    main()
