"""Train CAYN's adapter and head in several ways and compare: what the parts of the method are worth.

    python scripts/ablate_cayn.py --weights MODEL --real FOLDER... --cache DIR --out DIR [--seeds 3] [--steps 100]

Every variant is trained `--seeds` times over the same frozen backbone on the annotated folders `--real`, whose held-out
photos are then asked for every word of theirs, at every depth of rerank. Features of the backbone are computed once and
kept in `--cache`; a run that is in `--out` already is not repeated, so more seeds may be added later. Writes
ablation.json and ablation.md after every run: mean and standard deviation of mAP over the seeds that were run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from glyphseek.training.cayn.validation import AdapterValidation, Asked
from glyphseek.training.recipe import Recipe, build_adapter, run_recipe, take_trained_parts
from glyphseek.training.run import RunFolder
from glyphseek.types import Fusion

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "default (VPA; ITM with NLC and HEM)": (),
    "no VPA": ("vpa=off",),
    "ITM with NLC, uniform sampling": ("sampling=uniform",),
    "ITM with HEM, no NLC": ("itm_nlc=false",),
    "ITM with uniform sampling, no NLC": ("itm_nlc=false", "sampling=uniform"),
    "PFCA without a head: softmax-pooled cosine": ("head=none",),
    "PFCA of the text alone": ("directions=text",),
    "PFCA, the head reads what was found alone": ("head=found",),
    "PFCA of the text's tokens": ("text_query=tokens",),
}
MATCH = ", ordered by match probability alone"
DEPTHS = (0, 2, 4, 8, 16, 32, 64, 128)

Marks = dict[str, float]
"""mAP in percent by depth, or by depth and `MATCH`."""


def main() -> None:
    """Train each variant with each seed and write the table after every run."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    rows: dict[str, list[Marks]] = {}
    for seed in range(options.seeds):
        for number, (name, changes) in enumerate(VARIANTS.items()):
            marks = mark(make_recipe(options, options.out / "runs" / f"{number}-{seed}", changes, seed))
            rows.setdefault(name, []).append(marks)
            print(f"{name}, seed {seed}: {marks}", flush=True)
            write(options.out, options.steps, rows)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Compare ways to train CAYN's adapter and head.")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cayn-small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def make_recipe(options: argparse.Namespace, run: Path, changes: Sequence[str], seed: int) -> Recipe:
    """Return one training."""
    return Recipe(
        stage="adapter",
        run=run,
        preset=options.preset,
        steps=options.steps,
        real=tuple(options.real),
        weights=options.weights,
        cache=options.cache,
        set=tuple(changes),
        save_every=options.steps,
        validate_every=10 * options.steps,
        seed=seed,
    )


def mark(recipe: Recipe) -> Marks:
    """Return the marks of one training, which is carried out unless its marks are there already."""
    path = recipe.run / "marks.json"
    if not path.is_file():
        run_recipe(recipe, report=lambda row: None)
        path.write_text(json.dumps(measure(ask(recipe))) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def ask(recipe: Recipe) -> Asked:
    """Return what the trained network says of the held-out photos."""
    training = build_adapter(recipe)
    network, validation = training.network, training.validate
    if not isinstance(validation, AdapterValidation):
        raise TypeError("stage adapter is validated otherwise than it was")
    take_trained_parts(network, RunFolder(recipe.run))
    asked = validation.ask(network)
    if asked is None:
        raise SystemExit("the held-out photos have no word")
    return asked


def measure(asked: Asked) -> Marks:
    """Return mAP at every depth, and by the match probability alone."""
    marks = {str(depth): asked.map_percent(depth) for depth in DEPTHS}
    return marks | {f"{depth}{MATCH}": asked.map_percent(depth, Fusion.MATCH) for depth in DEPTHS}


def write(out: Path, steps: int, rows: Mapping[str, Sequence[Marks]]) -> None:
    """Write the figures so far."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(json.dumps({"steps": steps, "variants": rows}, indent=1) + "\n")
    depths = [str(depth) for depth in DEPTHS]
    lines = [f"| variant | seeds | K = {' | '.join(depths)} |", "|---|---:|" + "---:|" * len(depths)]
    for name, found in rows.items():
        lines.append(row_of(name, found, depths))
        if name == next(iter(VARIANTS)):
            lines.append(row_of(f"the same{MATCH}", found, [f"{depth}{MATCH}" for depth in depths]))
    (out / "ablation.md").write_text("\n".join(lines) + "\n")


def row_of(name: str, found: Sequence[Marks], columns: Sequence[str]) -> str:
    """Return a row of the table."""
    return f"| {name} | {len(found)} | " + " | ".join(spread(found, column) for column in columns) + " |"


def spread(found: Sequence[Marks], column: str) -> str:
    """Return mean and standard deviation over seeds, in percent."""
    values = [marks[column] for marks in found]
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
