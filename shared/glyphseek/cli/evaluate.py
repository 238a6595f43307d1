"""`glyphseek eval`: how well a method finds words in a gallery with ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphseek.cli.console import JsonFlag, err, out, print_json, show_progress
from glyphseek.models.loading import DEFAULT_MODEL
from glyphseek.tokens import CodecName
from glyphseek.types import Precision

if TYPE_CHECKING:
    from glyphseek.evaluation import Report

OCR_LONGER_SIDE = 1024


class Method(StrEnum):
    """What is measured: a model of this project, or the OCR route."""

    MODEL = "model"
    OCR = "ocr"


class Split(StrEnum):
    """The part of a set that publishes two."""

    TRAIN = "train"
    TEST = "test"


def evaluate(
    dataset: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of Total-Text, ICDAR 2015, SVT, IIIT-STR, COCO-Text, CTW1500, MQTR, or rendered galleries."
        ),
    ] = None,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder that was trained on: its held-out photos alone are measured, about one in five, by the"
            " checksum of the file name; repeat it for more."
        ),
    ] = None,
    method: Annotated[list[Method] | None, typer.Option(help="Methods to measure side by side; repeat it.")] = None,
    model: Annotated[str, typer.Option(help="Model id or folder.")] = DEFAULT_MODEL,
    rerank: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="Photos reranked, for models with token maps; repeat it to compare. Unless given: 0 and what the model"
            " recommends.",
        ),
    ] = None,
    split: Annotated[Split, typer.Option(help="Part of a set that publishes two.")] = Split.TEST,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the query list of this name; repeat it for more. All without. `untaught`: the words of a set's"
            " first list that training leaves out."
        ),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Only the photos that training leaves out: about one in five, by the checksum of the file name.",
        ),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep features and OCR readings in; a second run is quick.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file for the whole report.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG for mAP by word length and by text height.")] = None,
    table: Annotated[Path | None, typer.Option(help="Markdown file for the table beside the papers' figures.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    precision: Annotated[
        Precision, typer.Option(help="Of a TDSL model's convolutions; auto: bfloat16 where the processor has it.")
    ] = "auto",
    codec: Annotated[
        CodecName, typer.Option(help="How vectors are kept, of fp32, fp16 and int8, to see what rounding costs.")
    ] = CodecName.FP16,
    as_json: JsonFlag = False,
) -> None:
    """Print mAP over the whole gallery (scikit-learn's average_precision_score) and recall, beside the papers'."""
    from glyphseek.cli.measuring import judge, measure_model, measure_ocr, open_benchmarks
    from glyphseek.evaluation import comparison_table, plot_breakdowns, report_to_dict, save_reports

    reports: list[Report] = []
    folders = [(folder, held_out) for folder in dataset or []] + [(folder, True) for folder in trained_on or []]
    for benchmark in open_benchmarks(folders, split.value, queries or []):
        for one in method or [Method.MODEL]:
            with show_progress(f"{one.value} {benchmark.name}", quiet=as_json) as show:
                match one:
                    case Method.MODEL:
                        scorers = measure_model(
                            benchmark, model, cache, device, show, depths=rerank, precision=precision, codec=codec
                        )
                    case Method.OCR:
                        scorers = measure_ocr(benchmark, cache, OCR_LONGER_SIDE, show)
            reports += judge(benchmark, scorers)
    if report is not None:
        save_reports(report, reports)
    if plot is not None:
        plot_breakdowns(plot, reports)
    if table is not None:
        table.write_text(comparison_table(reports), encoding="utf-8")
    if as_json:
        print_json({"reports": [report_to_dict(one) for one in reports]})
    else:
        print_tables(reports)


def print_tables(reports: Sequence[Report]) -> None:
    """Print our figures, then the papers' beside them, then speeds."""
    from glyphseek.evaluation import comparison_table, summary_table

    out.print(summary_table(reports), markup=False)
    out.print(comparison_table(reports), markup=False)
    measured = {(one.method, one.benchmark): one.figures for one in reports}  # whatever was asked
    for (method, benchmark), figures in measured.items():
        for name, value in figures.items():
            err.print(f"{method}, {benchmark}: {name} {value:.4g}", markup=False)
