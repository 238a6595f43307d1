"""`glyphseek codecs`: what each way of storing token maps costs, and the codebook that a model ships with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from glyphseek.cli.console import JsonFlag, err, out, print_json, show_progress
from glyphseek.cli.evaluate import Split
from glyphseek.errors import SettingError
from glyphseek.tokens import CodecName, TokenCodebook

if TYPE_CHECKING:
    from glyphseek.evaluation import Benchmark
    from glyphseek.evaluation.codec_packing import CodecChoice
    from glyphseek.evaluation.codec_table import CodecTable, TokenModel
    from glyphseek.ports import FeatureStore
    from glyphseek.types import FloatArray

DEFAULT_WIDTHS = (0, 128, 64)
"""0 stands for tokens as wide as the model makes them, without a projection."""
MEASURED = tuple(codec for codec in CodecName if codec is not CodecName.FP32)
SAMPLE_TOKENS = 32_768
WIDTH = 140
"""Columns of text that the table needs; it is not squeezed into a narrower terminal."""


def codecs(
    dataset: Annotated[Path, typer.Argument(help="Gallery with ground truth, of any layout that `eval` reads.")],
    model: Annotated[str, typer.Option(help="Id or folder of a model with token maps.")],
    codec: Annotated[list[CodecName] | None, typer.Option(help="Codecs; repeat it. Unless given: all.")] = None,
    width: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Widths to project tokens to, 0 for none; repeat it. Unless given: 0, 128 and 64."),
    ] = None,
    mask: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="Also int8 with only the tokens from this text likelihood on; repeat it."),
    ] = None,
    rerank: Annotated[int, typer.Option(min=1, help="Photos reranked for each query.")] = 32,
    split: Annotated[Split, typer.Option(help="Part of a set that publishes two.")] = Split.TEST,
    queries: Annotated[str | None, typer.Option(help="Query list; unless given, the set's first.")] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Measure only the photos that training leaves out (one in five), and fit codebooks on the others.",
        ),
    ] = False,
    fit_on: Annotated[
        Path | None,
        typer.Option(help="Gallery to fit codebooks on; unless given, the one that is measured, with a warning."),
    ] = None,
    attach: Annotated[
        int | None, typer.Option(min=0, help="Put the codebook of this width into the model's folder; 0: unprojected.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep exact features in; a second run is quick.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Markdown file for the table.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the model.")] = "cpu",
    as_json: JsonFlag = False,
) -> None:
    """Print for every codec, width and mask: bytes, speed, and mAP lost after a rerank against exact tokens.

    Photos are encoded once, and packed anew for each row. Codebooks are fitted without labels; where the model has one
    of a measured width, that one is measured. A codebook that was fitted on the measured photos looks better than it
    is: there is a warning, and --attach refuses it; name other photos with --fit-on, or measure --held-out ones.
    """
    from glyphseek.cli.measuring import encode_gallery, keep_held_out, keep_lists
    from glyphseek.datasets.benchmarks import load_benchmark
    from glyphseek.evaluation.codec_sample import sample_tokens
    from glyphseek.evaluation.codec_table import CodecBench, markdown_table
    from glyphseek.features.directory import DirectoryFeatureStore

    whole = load_benchmark(dataset, split=split.value)
    asked = keep_lists(whole, [queries]) if queries else whole
    benchmark = keep_held_out(asked) if held_out else asked
    fitted = whole if fit_on is None else load_benchmark(fit_on, split=split.value)
    shown = keep_training(fitted) if held_out else fitted
    opened = open_token_model(model, device)
    if not held_out and (fit_on is None or fit_on.resolve() == dataset.resolve()):
        warn_of_own_photos(benchmark.name, attach, opened.codebook)
    with TemporaryDirectory(prefix="glyphseek-") as scratch, show_progress("codecs", quiet=as_json) as show:
        exact = DirectoryFeatureStore((cache or Path(scratch)) / "features-exact")
        image_ids = encode_gallery(benchmark, opened, exact, show, codec=CodecName.FP32).image_ids
        sampled = image_ids
        if held_out or fit_on is not None:
            sampled = encode_gallery(shown, opened, exact, show, codec=CodecName.FP32).image_ids
        codebooks = fit_codebooks(
            sample_tokens(
                exact, [one for one in sampled if one], fingerprint=opened.card.fingerprint, count=SAMPLE_TOKENS
            ),
            width,
            attach,
            opened.codebook,
        )
        bench = CodecBench(
            model=opened,
            benchmark=benchmark,
            queries=benchmark.query_lists[0],
            image_ids=image_ids,
            exact=exact,
            scratch=renew_folder(Path(scratch) / "choice"),
            depth=rerank,
        )
        table = bench.measure(list_choices(codec or MEASURED, codebooks, mask or ()), show=show)
    if markdown is not None:
        markdown.write_text(markdown_table(table), encoding="utf-8")
    if as_json:
        print_json(asdict(table))
    else:
        print_table(table)
    if attach is not None:
        attach_to(model, codebooks[attach])


def open_token_model(name: str, device: str) -> TokenModel:
    """Return the model. Raises SettingError for one without token maps."""
    from glyphseek.models.loading import open_model
    from glyphseek.ports import TokenScorer

    model = open_model(name, device=device)
    if not isinstance(model, TokenScorer):
        raise SettingError(f"{model.card.name} has no token maps, so there is nothing to pack")
    return model


def warn_of_own_photos(gallery: str, attach: int | None, own: TokenCodebook | None) -> None:
    """Say that codebooks are fitted on what they are measured on. Raises SettingError where one would be attached."""
    told = f"codebooks are fitted on {gallery}, the photos that they are measured on"
    remedy = "name other photos with --fit-on, or measure --held-out ones"
    if attach is not None and (own is None or stored_width(own) != attach):
        raise SettingError(f"{told}, so none is put into the model: {remedy}")
    err.print(f"{told}, so they look better than they are: {remedy}", markup=False)


def stored_width(codebook: TokenCodebook) -> int:
    """Return the width that the codebook projects tokens to, 0 where it leaves them as wide as they are."""
    return codebook.stored_width if codebook.basis_PE is not None else 0


def keep_training(benchmark: Benchmark) -> Benchmark:
    """Return the photos that training may see."""
    from glyphseek.training.annotated import is_held_out_photo

    return replace(benchmark, images=tuple(image for image in benchmark.images if not is_held_out_photo(image.path)))


def fit_codebooks(
    tokens_NE: FloatArray, widths: Sequence[int] | None, attach: int | None, own: TokenCodebook | None
) -> dict[int, TokenCodebook]:
    """Return a codebook for each width that was asked for, or for the default ones below the tokens' own.

    The model's `own` is taken for its width. Raises InputError for a width above the tokens' own.
    """
    from glyphseek.tokens.fitting import FitSettings, fit_codebook

    asked = [one for one in DEFAULT_WIDTHS if one < tokens_NE.shape[1]] if widths is None else widths
    found: dict[int, TokenCodebook] = {}
    if own is not None:
        found[stored_width(own)] = own
    wanted = [*asked, *([] if attach is None or attach in asked else [attach])]
    return {
        width: found[width] if width in found else fit_codebook(tokens_NE, FitSettings(stored_width=width or None))
        for width in wanted
    }


def list_choices(
    names: Sequence[CodecName], codebooks: Mapping[int, TokenCodebook], masks: Sequence[float]
) -> list[CodecChoice]:
    """Return every codec at every width, and after the codecs of a width its int8 with each mask."""
    from glyphseek.evaluation.codec_packing import CodecChoice

    choices: list[CodecChoice] = []
    for codebook in codebooks.values():
        choices += [CodecChoice(codec=name, codebook=codebook) for name in names]
        choices += [CodecChoice(codec=CodecName.INT8, codebook=codebook, keep_likelihood=keep) for keep in masks]
    return choices


def renew_folder(folder: Path) -> Callable[[], FeatureStore]:
    """Return a function that empties the folder and returns a store in it."""
    from glyphseek.features.directory import DirectoryFeatureStore

    def renew() -> FeatureStore:
        rmtree(folder, ignore_errors=True)
        return DirectoryFeatureStore(folder)

    return renew


def attach_to(name: str, codebook: TokenCodebook) -> None:
    """Put the codebook into the model's folder. Raises SettingError when it has another one."""
    from glyphseek.models.checkpoint import attach_codebook
    from glyphseek.models.loading import find_model

    folder = find_model(name)
    attach_codebook(folder, codebook)
    err.print(
        f"{folder}: codebook {codebook.fingerprint}, tokens stored at width {codebook.stored_width}", markup=False
    )


def print_table(table: CodecTable) -> None:
    """Print the table, and under it what it was measured on."""
    from rich.console import Console
    from rich.table import Table

    from glyphseek.evaluation.codec_table import COLUMNS, describe, format_row

    shown = Table(box=None, pad_edge=False)
    for place, column in enumerate(COLUMNS):
        shown.add_column(column, justify="left" if place < 3 else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*format_row(row))
    Console(highlight=False, width=max(out.width, WIDTH)).print(shown)
    out.print(describe(table), markup=False)
