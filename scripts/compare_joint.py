"""Train TDSL's parts apart and together for the same time: what the joint design is worth on a small budget.

    python scripts/compare_joint.py --real FOLDER --out DIR [--backgrounds FOLDER] [--minutes 15] [--start RUN ...]

Every design is trained for `--minutes` of one thread on rendered and annotated data, as many steps as its own speed
allows: from random weights or, with `--start`, from the trained parts of runs. Apart, the reader has half of the time
on cropped words and the detector the other half on scenes. Together, one loss trains both on scenes, words read from
the image or, as in the paper, from the pyramid that the detector reads too; that one only starts from random weights.
The held-out photos of `--real` are then asked for every word of three letters or more of theirs, by vectors alone; so
is what training starts from. A design that is in `--out` already is not repeated. Writes joint.json and joint.md.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from glyphseek.evaluation.metrics import average_precision, rank_hits
from glyphseek.models.tdsl.encoder import TdslEncoder, make_card
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.settings import SMALL, TdslSettings
from glyphseek.queries import Term
from glyphseek.training.annotated import read_annotated_photos
from glyphseek.training.loop import LoopSettings
from glyphseek.training.packaging import UNCALIBRATED
from glyphseek.training.recipe import Recipe, build_stage, carry_out, take_trained_parts
from glyphseek.training.run import RunFolder
from glyphseek.training.scenes import read_scene
from glyphseek.training.speed import measure_speed

FROM_THE_IMAGE = replace(
    SMALL, name="image", refiner_channels=(), sequence_blocks=0, reads_twice=False, keeps_letters=False,
    least_reading=None, extra_longer_sides=(), score_threshold=0.2, nms_iou=0.6,
)  # fmt: skip
FROM_THE_PYRAMID = replace(
    FROM_THE_IMAGE, name="pyramid", roi_source="pyramid", pyramid_first_stride=4, stem_channels=(), roi_rows=8,
    roi_columns=32, roi_margin=0.0, roi_sampling="align",
)  # fmt: skip
STEPS_TIMED = 10
SHORTEST_WORD = 3

StageName = Literal["words", "detector", "joint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """One way to divide the time: a network, and the stages that share it."""

    preset: TdslSettings
    stages: tuple[StageName, ...]


DESIGNS: Mapping[str, Design] = {
    "at the start": Design(preset=FROM_THE_IMAGE, stages=()),
    "apart": Design(preset=FROM_THE_IMAGE, stages=("words", "detector")),
    "together, words from the image": Design(preset=FROM_THE_IMAGE, stages=("joint",)),
    "together, words from the pyramid": Design(preset=FROM_THE_PYRAMID, stages=("joint",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What one design came to: steps of each stage, the seconds they took, and what the photos answered."""

    parameters: int
    steps: dict[str, int]
    seconds: dict[str, float]
    queries: int
    words_an_image: float
    map_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many words were asked for, how many were found in an image, and the mAP in percent."""

    queries: int
    words_an_image: float
    map_percent: float


def main() -> None:
    """Train and ask each design and write the table after every one."""
    options = parse_options()
    torch.set_num_threads(1)
    rows: dict[str, Marks] = {}
    for number, (name, design) in enumerate(DESIGNS.items()):
        if options.start and design.preset is FROM_THE_PYRAMID:
            continue
        path = options.out / f"{number}" / "marks.json"
        if not path.is_file():
            marks = mark(design, options, path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(marks)) + "\n", encoding="utf-8")
        rows[name] = Marks(**json.loads(path.read_text(encoding="utf-8")))
        print(f"{name}: {rows[name]}", flush=True)
        write(options.out, options.minutes, rows)


def parse_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="annotated gallery; its held-out photos are asked")
    parser.add_argument("--backgrounds", type=Path, default=None, help="folder of photos to draw text on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0, help="of training, for each design")
    parser.add_argument("--start", type=Path, nargs="+", default=[], help="runs whose trained parts to start from")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    return parser.parse_args()


def mark(design: Design, options: argparse.Namespace, folder: Path) -> Marks:
    """Train one design in the folder and return its marks."""
    network = Tdsl(design.preset)
    for run in options.start:
        take_trained_parts(network, RunFolder(run))
    steps: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for stage in design.stages:
        run = folder / stage
        steps[stage] = train(stage, design.preset, run, options, 60 * options.minutes / len(design.stages))
        take_trained_parts(network, RunFolder(run))
        seconds[stage] = json.loads((run / "state.json").read_text(encoding="utf-8"))["seconds"]
    asked = ask(network, design.preset, options.real)
    parameters = sum(p.numel() for p in network.parameters())
    return Marks(parameters=parameters, steps=steps, seconds=seconds, **asdict(asked))


def train(stage: StageName, preset: TdslSettings, run: Path, options: argparse.Namespace, seconds: float) -> int:
    """Train one stage for about so many seconds and return its steps."""
    recipe = Recipe(
        stage=stage,
        run=run,
        preset=preset.name,
        steps=1,
        rate=options.rate,
        start=tuple(options.start),
        real=(options.real,),
        backgrounds=options.backgrounds,
        precision="bfloat16",
        validate_every=10**9,
    )
    torch.manual_seed(recipe.seed)
    training, compute = build_stage(recipe, preset), recipe.compute()
    timed = measure_speed(
        compute.settle(copy.deepcopy(training.network)),
        training.stage,
        compute,
        LoopSettings(steps=STEPS_TIMED),
        batch=training.batch,
    )
    steps = max(1, round(seconds / timed.step_s))
    carry_out(replace(recipe, steps=steps), training, lambda row: print(row, flush=True))
    return steps


def ask(network: Tdsl, preset: TdslSettings, gallery: Path) -> Asked:
    """Return what the held-out photos answer by vectors alone."""
    encoder = TdslEncoder(network, make_card(preset, preset.name, "0" * 32, calibration=UNCALIBRATED, letters=None))
    photos = read_annotated_photos(gallery, held_out=True)
    present = [{one.word for one in photo.words if one.word and len(one.word) >= SHORTEST_WORD} for photo in photos]
    words = sorted(set[str]().union(*present))
    typed_QD = np.concatenate([f.vectors_VD for f in encoder.encode_terms([Term(text=word) for word in words])])
    scores_IQ, found = np.zeros((len(photos), len(words)), dtype=np.float32), 0
    for row, photo in enumerate(photos):
        pixels = read_scene(photo, preset.prepared_longer_side).pixels
        instances = encoder.encode_images([pixels])[0].instances
        if instances is not None and len(instances):
            found += len(instances)
            scores_IQ[row] = (typed_QD @ instances.vectors_ND.T).max(axis=1)
    relevant_IQ = np.array([[word in some for word in words] for some in present])
    marks = [average_precision(rank_hits(relevant_IQ[:, q], scores_IQ[:, q])) for q in range(len(words))]
    return Asked(queries=len(words), words_an_image=found / len(photos), map_percent=100 * float(np.mean(marks)))


def write(out: Path, minutes: float, rows: Mapping[str, Marks]) -> None:
    """Write the figures so far."""
    told = {"minutes": minutes, "designs": {name: asdict(marks) for name, marks in rows.items()}}
    (out / "joint.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    lines = [f"| {minutes:g} minutes of one thread | steps | words an image | mAP |", "|---|---:|---:|---:|"]
    lines += [row_of(name, marks) for name, marks in rows.items()]
    (out / "joint.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def row_of(name: str, marks: Marks) -> str:
    """Return a row of the table."""
    steps: Sequence[str] = [f"{count:,} of {stage}" for stage, count in marks.steps.items()]
    return f"| {name} | {'; '.join(steps)} | {marks.words_an_image:.1f} | {marks.map_percent:.1f} |"


if __name__ == "__main__":
    main()
