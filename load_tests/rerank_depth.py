"""What each depth of reranking costs on a gallery that `glyphseek index` made: one word, K of its photos.

    python load_tests/rerank_depth.py GALLERY [--depths 32 64 128] [--word coffee] [--repeats 50]

Every repeat takes other photos of the gallery. Warm: their maps are in the reranker's cache. Cold: they are not, and
their files were dropped from the page cache, as they were before the plain read of the same files that is timed beside
it. CPU is the median of the time that the process itself ran, which other work on the machine stretches less. Torch
has one thread, as in `glyphseek search`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from glyphseek.cli.gallery import describe
from glyphseek.errors import SettingError
from glyphseek.evaluation.codec_table import TokenModel
from glyphseek.features.directory import DirectoryFeatureStore
from glyphseek.models.loading import open_model
from glyphseek.ports import TokenScorer
from glyphseek.queries import Term
from glyphseek.reranking import Reranker
from glyphseek.types import TermFeatures

WARM_UP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Time of one piece of work, and of the processor on it."""

    wall_ms: float
    cpu_ms: float


def main() -> int:
    """Print the figures; return the exit status."""
    options = _parse_options()
    torch.set_num_threads(1)
    model = _open_model(options.gallery)
    files = {path.stem: path for path in (options.gallery / "features").rglob("*.blob")}
    terms = model.encode_terms([Term(text=options.word)])
    size = np.mean([path.stat().st_size for path in files.values()])
    print(
        f"{len(files)} photos, {size:.0f} bytes each; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    print(
        f"{'K':>5}"
        + "".join(f"{name:>12}{'p90':>8}{'CPU':>8}" for name in ("warm p50", "cold p50", "plain read"))
        + "  ms"
    )
    for depth in options.depths:
        _measure(lambda: _open(model, options.gallery), files, terms, depth, options.repeats)
    return 0


def _open_model(gallery: Path) -> TokenModel:
    model = open_model(describe(gallery).model)
    if not isinstance(model, TokenScorer):
        raise SettingError(f"{model.card.name} has no token maps, so nothing is reranked")
    return model


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", type=Path, help="folder of the gallery")
    parser.add_argument("--depths", type=int, nargs="+", default=[32, 64, 128], help="photos of one request (K)")
    parser.add_argument("--word", default="coffee", help="what is asked")
    parser.add_argument("--repeats", type=int, default=50, help="timed requests of each kind")
    return parser.parse_args()


def _measure(
    start: Callable[[], Reranker], files: dict[str, Path], terms: Sequence[TermFeatures], depth: int, repeats: int
) -> None:
    """Print a row for one depth."""
    if depth > len(files):
        raise SettingError(f"the gallery has {len(files)} photos, {depth} cannot be reranked")
    taken: list[tuple[Taken, Taken, Taken]] = []
    for repeat in range(WARM_UP + repeats):
        chosen = np.random.default_rng(repeat).permutation(sorted(files))[:depth].tolist()
        _drop([files[one] for one in chosen])
        plain = _clock(lambda chosen=chosen: [files[one].read_bytes() for one in chosen])
        _drop([files[one] for one in chosen])
        with start() as reranker:
            cold, warm = (
                _clock(lambda chosen=chosen, reranker=reranker: reranker.rerank(terms, chosen)) for _ in range(2)
            )
        taken.append((warm, cold, plain))
    print(f"{depth:>5}" + "".join(map(_show, zip(*taken[WARM_UP:], strict=True))), flush=True)


def _show(taken: Sequence[Taken]) -> str:
    p50, p90 = np.percentile([one.wall_ms for one in taken], [50, 90])
    return f"{p50:12.2f}{p90:8.2f}{np.median([one.cpu_ms for one in taken]):8.2f}"


def _open(model: TokenModel, gallery: Path) -> Reranker:
    return Reranker(model, DirectoryFeatureStore(gallery / "features"), fingerprint=model.card.fingerprint)


def _drop(paths: Sequence[Path]) -> None:
    """Drop the files from the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _clock(work: Callable[[], object]) -> Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Taken(wall_ms=1000 * (time.perf_counter() - wall), cpu_ms=1000 * (time.process_time() - cpu))


if __name__ == "__main__":
    sys.exit(main())
